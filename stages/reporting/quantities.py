"""What is measured of a run, from its history alone: one number a run, by the name that the rules call it by.

A history has a row an epoch, in order: epoch (from 1), train_loss, loss, accuracy, the last two on the images that are
scored after every epoch.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

SETTLED = 0.01  # how near its last accuracy a curve stays once it has settled


def final_accuracy(history: pd.DataFrame) -> float:
    """The accuracy after the last epoch."""
    return float(history["accuracy"].iloc[-1])


def final_loss(history: pd.DataFrame) -> float:
    """The loss after the last epoch, in nats; infinite where it is no number."""
    loss = float(history["loss"].iloc[-1])
    return math.inf if math.isnan(loss) else loss


def volatility(history: pd.DataFrame) -> float:
    """The standard deviation of the epoch-to-epoch change of accuracy over the second half of the epochs."""
    changes = history["accuracy"].diff().iloc[(len(history) + 1) // 2 :]
    return float(changes.std(ddof=1))


def plateau_epoch(history: pd.DataFrame) -> float:
    """The first epoch from which on the accuracy stays within 0.01 of the last one."""
    away = (history["accuracy"] - final_accuracy(history)).abs() > SETTLED
    return float(history["epoch"][away].max() + 1) if away.any() else float(history["epoch"].iloc[0])


def overfitting(history: pd.DataFrame) -> float:
    """How far the loss has risen, by the last epoch, from its lowest, in nats."""
    return final_loss(history) - float(history["loss"].min())


def accuracy_at(history: pd.DataFrame, epoch: float) -> float:
    """The accuracy after a given epoch; no number where the run didn't come so far."""
    found = history["accuracy"][history["epoch"] == epoch]
    return float(found.iloc[0]) if len(found) else np.nan


def epochs_to(history: pd.DataFrame, accuracy: float) -> float:
    """The first epoch with at least a given accuracy; one more than there are, where none has it."""
    reached = history["epoch"][history["accuracy"] >= accuracy]
    return float(reached.iloc[0] if len(reached) else history["epoch"].iloc[-1] + 1)


def epoch_seconds(history: pd.DataFrame) -> float:
    """The mean duration of an epoch, where it was recorded: the published NumPy runs alone have it."""
    return float(history["seconds"].mean())


QUANTITIES: dict[str, Callable[[pd.DataFrame], float]] = {
    "final_accuracy": final_accuracy,
    "final_loss": final_loss,
    "volatility": volatility,
    "plateau_epoch": plateau_epoch,
    "overfitting": overfitting,
    "epoch_seconds": epoch_seconds,
}
# These are measured at a value that the rule names.
QUANTITIES_AT: dict[str, Callable[[pd.DataFrame, float], float]] = {"accuracy_at": accuracy_at, "epochs_to": epochs_to}


def measure(history: pd.DataFrame, quantity: str, at: float | None = None) -> dict[int, float]:
    """A quantity of every run of one variant, by seed."""
    runs = history.groupby("seed", sort=True)
    if at is None:
        return {int(seed): QUANTITIES[quantity](run) for seed, run in runs}
    return {int(seed): QUANTITIES_AT[quantity](run, at) for seed, run in runs}


def quantity_name(quantity: str, at: float | None = None) -> str:
    """A quantity in words."""
    name = quantity.replace("_", " ")
    return name if at is None else f"{name} {at:g}"
