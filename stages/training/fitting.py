"""Fitting a network: when to stop, and which epoch's parameters to use.

The NumPy network and the PyTorch models both train by this loop, so that "diverged" and "best epoch" mean the same in
all runs. It sees no network, only a row of figures for each epoch, and two functions that copy the parameters.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

State = TypeVar("State")

# A network guesses when its accuracy is at most 1.5 times that of a uniform guess (a margin for chance), and its loss
# is above 4 times that of a uniform guess.
GUESS_ACCURACY, GUESS_LOSS = 1.5, 4.0


@dataclass(frozen=True)
class Fit:
    """The result of training: `history`, one row per epoch, and "ok" or "diverged".

    `best_epoch` had the lowest evaluation loss, `kept_epoch` is the one whose parameters the network has now. Both
    count from 1; a run that diverges in its first epoch has best epoch 0.
    """

    history: list[dict[str, float]]
    status: str
    best_epoch: int
    kept_epoch: int


def fit(
    epochs: Iterable[dict[str, float]],
    classes: int,
    *,
    snapshot: Callable[[], State],
    restore: Callable[[State], None],
    patience: int | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> Fit:
    """Run epochs until they are finished or there is a reason to stop.

    `epochs` yields a row (epoch, train_loss, train_accuracy, loss, accuracy) after each epoch and before the next
    begins. With `patience`, fitting stops after that many epochs without a lower loss, and the parameters of the best
    epoch are restored: `snapshot` returns a copy of them. Without, neither function is called.

    A run stops with status "diverged" once train_loss or loss is not finite, or once the network has guessed for two
    epochs in a row (it may recover from one).
    """
    history: list[dict[str, float]] = []
    status, best_epoch = "ok", 0
    best_loss, guesses = math.inf, 0
    for epoch, row in enumerate(epochs, start=1):
        history.append(row)
        on_epoch(row)
        guessing = row["accuracy"] <= GUESS_ACCURACY / classes and row["loss"] > GUESS_LOSS * math.log(classes)
        guesses = guesses + 1 if guessing else 0
        if guesses == 2 or not (math.isfinite(row["train_loss"]) and math.isfinite(row["loss"])):
            status = "diverged"
            break
        if row["loss"] < best_loss:
            best_loss, best_epoch = row["loss"], epoch
            if patience is not None:
                best = snapshot()
        elif patience is not None and epoch - best_epoch >= patience:
            break
    if patience is None or not best_epoch:
        return Fit(history, status, best_epoch, kept_epoch=len(history))
    restore(best)
    return Fit(history, status, best_epoch, kept_epoch=best_epoch)
