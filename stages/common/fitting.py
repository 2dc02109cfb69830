"""Fitting a network: when to stop, and which epoch to keep.

The NumPy network and the PyTorch models both train by this loop, because the question is the same whatever trains: what
counts as diverged, or as best, must not differ between runs that are compared. So it sees no network, only the rows of
figures that come in, and two functions that copy the parameters away and back.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

State = TypeVar("State")

# A run is lost when it does no better than guessing (1.5 times a uniform guess's accuracy, to allow for chance) with
# the confidence of a fool (4 times a uniform guess's loss).
LOST_ACCURACY, LOST_LOSS = 1.5, 4.0


@dataclass(frozen=True)
class Fit:
    """How a training went: a row of `history` an epoch (epoch, train_loss, loss, accuracy), and "ok" or "diverged".

    `best_epoch` had the lowest evaluation loss; `kept_epoch` is the one whose parameters the network has now. Both
    count from 1; a run that diverges in its first epoch has no best one: 0.
    """

    history: list[dict[str, float]]
    status: str
    best_epoch: int
    kept_epoch: int


def fit(
    epochs: Iterable[dict[str, float]],
    classes: int,
    *,
    keep: Callable[[], State],
    put_back: Callable[[State], None],
    patience: int | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> Fit:
    """Take epochs until they run out, or there is a reason to stop.

    Each row of `epochs` (epoch, train_loss, loss, accuracy) comes when the network has just been through that epoch and
    before it begins another. With `patience`, fitting stops after so many epochs without a lower loss, and the best
    epoch's parameters are put back: `keep` returns a copy of them, `put_back` restores it. Without, neither is called.

    A run stops with status "diverged" once train_loss or loss is no longer finite, or once it has guessed, at a loss
    above four times a uniform guess's, for two epochs in a row (one bad epoch may be recovered from).
    """
    history: list[dict[str, float]] = []
    status, best_epoch = "ok", 0
    best_loss, lost = math.inf, 0
    for epoch, row in enumerate(epochs, start=1):
        history.append(row)
        on_epoch(row)
        guessing = row["accuracy"] <= LOST_ACCURACY / classes and row["loss"] > LOST_LOSS * math.log(classes)
        lost = lost + 1 if guessing else 0
        if lost == 2 or not (math.isfinite(row["train_loss"]) and math.isfinite(row["loss"])):
            status = "diverged"
            break
        if row["loss"] < best_loss:
            best_loss, best_epoch = row["loss"], epoch
            if patience is not None:
                best = keep()
        elif patience is not None and epoch - best_epoch >= patience:
            break
    if patience is None or not best_epoch:
        return Fit(history, status, best_epoch, kept_epoch=len(history))
    put_back(best)
    return Fit(history, status, best_epoch, kept_epoch=best_epoch)
