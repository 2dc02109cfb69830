"""The quantities that rules compare: one number per run, computed from its history alone.

A history has one row per epoch, in order: epoch (from 1), train_loss, loss, accuracy, the last two on the images
that are scored after every epoch. The report prints the docstrings of these functions as definitions.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

SETTLED = 0.01  # a curve has settled once it stays this close to its last accuracy


def final_accuracy(history: pd.DataFrame) -> float:
    """The accuracy after the last epoch."""
    return float(history["accuracy"].iloc[-1])


def final_loss(history: pd.DataFrame) -> float:
    """The loss after the last epoch, in nats; infinite where it is NaN."""
    loss = float(history["loss"].iloc[-1])
    return math.inf if math.isnan(loss) else loss


def volatility(history: pd.DataFrame) -> float:
    """The standard deviation of the epoch-to-epoch change of accuracy over the second half of the epochs."""
    changes = history["accuracy"].diff().iloc[(len(history) + 1) // 2 :]
    return float(changes.std(ddof=1))


def plateau_epoch(history: pd.DataFrame) -> float:
    """The first epoch from which the accuracy stays within 0.01 of its final value."""
    away = (history["accuracy"] - final_accuracy(history)).abs() > SETTLED
    return float(history["epoch"][away].max() + 1) if away.any() else float(history["epoch"].iloc[0])


def overfitting(history: pd.DataFrame) -> float:
    """How far the final loss is above the lowest loss, in nats."""
    return final_loss(history) - float(history["loss"].min())


def epoch_seconds(history: pd.DataFrame) -> float:
    """The mean duration of an epoch; only the published NumPy runs recorded it."""
    return float(history["seconds"].mean())


def accuracy_at(history: pd.DataFrame, epoch: float) -> float:
    """The accuracy after a given epoch; NaN for a run that stopped earlier."""
    found = history["accuracy"][history["epoch"] == epoch]
    return float(found.iloc[0]) if len(found) else np.nan


def epochs_to(history: pd.DataFrame, accuracy: float) -> float:
    """The first epoch with at least a given accuracy; the number of epochs plus one if none has it."""
    reached = history["epoch"][history["accuracy"] >= accuracy]
    return float(reached.iloc[0] if len(reached) else history["epoch"].iloc[-1] + 1)


Quantity = Callable[..., float]
QUANTITIES: dict[str, Quantity] = {
    function.__name__: function
    for function in (final_accuracy, final_loss, volatility, plateau_epoch, overfitting, epoch_seconds)
}
# These need a value, which the rule gives as `at`.
QUANTITIES_AT: dict[str, Quantity] = {function.__name__: function for function in (accuracy_at, epochs_to)}


def measure(history: pd.DataFrame, quantity: str, at: float | None = None) -> dict[int, float]:
    """A quantity of every run of one variant, by seed."""
    function, settings = (QUANTITIES[quantity], ()) if at is None else (QUANTITIES_AT[quantity], (at,))
    return {int(seed): function(run, *settings) for seed, run in history.groupby("seed", sort=True)}
