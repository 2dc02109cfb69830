"""The quantities that rules compare: one number per run, computed from its history alone.

The report prints the docstrings of these functions as definitions. NaN means that a run has no such number.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Curve(NamedTuple):
    """One run, epoch by epoch: arrays (epochs,). Loss and accuracy are those of the scored split.

    `collapsed`: the run was stopped as diverged.
    """

    train_accuracy: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    collapsed: bool


class Reading(NamedTuple):
    """How quantities are read off a curve; the robustness rows vary it."""

    last: int = 5  # epochs whose mean is the final value
    settled: float = 0.01  # how close to its final accuracy a settled curve stays


READING = Reading()


def final(values: np.ndarray, curve: Curve, reading: Reading) -> float:
    """The mean of the last epochs; of a collapsed run, which would have stayed where it was, the last epoch."""
    return float(values[-1] if curve.collapsed else values[-reading.last :].mean())


def final_accuracy(curve: Curve, reading: Reading) -> float:
    """The mean accuracy of the last five epochs; of a collapsed run, the accuracy of its last epoch."""
    return final(curve.accuracy, curve, reading)


def final_loss(curve: Curve, reading: Reading) -> float:
    """The mean loss of the last five epochs, in nats; of a collapsed run, the loss of its last epoch."""
    return final(curve.loss, curve, reading)


def last_accuracy(curve: Curve, reading: Reading) -> float:
    """The accuracy after the last epoch, for comparisons with a published number."""
    return float(curve.accuracy[-1])


def volatility(curve: Curve, reading: Reading) -> float:
    """The noise of the accuracy curve without its trend: sqrt(mean(d²) / 6), d the second differences of all epochs but
    the first two (Gasser, Sroka & Jennen-Steinmetz 1986, equation 2.3); a collapsed run has none.
    """
    second = np.diff(curve.accuracy[2:], 2)  # (epochs - 4,)
    return np.nan if curve.collapsed or not len(second) else float(np.sqrt((second**2).mean() / 6))


def settled_at(curve: Curve, reading: Reading) -> float:
    """The first epoch from which the mean of any three consecutive epochs stays within 0.01 of the final accuracy; a
    collapsed run has none.
    """
    if curve.collapsed or len(curve.accuracy) < 3:
        return np.nan
    away = np.abs(moving_mean(curve.accuracy, 3) - final_accuracy(curve, reading)) > reading.settled
    return float(np.flatnonzero(away)[-1] + 2) if away.any() else 1.0


def overfitting(curve: Curve, reading: Reading) -> float:
    """How far the loss, as the moving mean of five epochs, has risen from its lowest to its last value, in nats; a
    collapsed run has none.
    """
    if curve.collapsed:
        return np.nan
    smooth = moving_mean(curve.loss, min(5, len(curve.loss)))
    return float(smooth[-1] - smooth.min())


def generalisation_gap(curve: Curve, reading: Reading) -> float:
    """Training accuracy minus accuracy, the mean of the last five epochs."""
    return final(curve.train_accuracy - curve.accuracy, curve, reading)


def drops(curve: Curve, reading: Reading) -> float:
    """The number of epochs that end with a lower accuracy than the one before; a collapsed run has none."""
    return np.nan if curve.collapsed else float((np.diff(curve.accuracy) < 0).sum())


def accuracy_at(curve: Curve, reading: Reading, epoch: float) -> float:
    """The mean accuracy of the five epochs up to a given one; a run that stopped earlier has none."""
    end = int(epoch)
    return float(curve.accuracy[max(end - reading.last, 0) : end].mean()) if len(curve.accuracy) >= end else np.nan


def epochs_to(curve: Curve, reading: Reading, accuracy: float) -> float:
    """The first epoch with at least a given accuracy; without one, the number of epochs plus one, and for a collapsed
    run none.
    """
    reached = np.flatnonzero(curve.accuracy >= accuracy)
    missing = np.nan if curve.collapsed else float(len(curve.accuracy) + 1)
    return float(reached[0] + 1) if len(reached) else missing


def moving_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Means of `width` consecutive values: (epochs - width + 1,)."""
    return np.convolve(values, np.full(width, 1 / width), "valid")


Quantity = Callable[..., float]
QUANTITIES: dict[str, Quantity] = {
    function.__name__: function
    for function in (
        *(final_accuracy, final_loss, last_accuracy, volatility, settled_at, overfitting),
        *(generalisation_gap, drops),
    )
}
# These need a value, which the rule gives as `at`.
QUANTITIES_AT: dict[str, Quantity] = {function.__name__: function for function in (accuracy_at, epochs_to)}
# Differences of at most this count as none.
MARGINS = {
    **{"final_accuracy": 0.01, "last_accuracy": 0.01, "accuracy_at": 0.01, "generalisation_gap": 0.01},
    **{"final_loss": 0.02, "overfitting": 0.02, "volatility": 0.002, "settled_at": 1.0, "epochs_to": 1.0, "drops": 0.5},
}


def measure(curve: Curve, reading: Reading, quantity: str, at: float | None = None) -> float:
    """A quantity of one run."""
    if at is None:
        return QUANTITIES[quantity](curve, reading)
    return QUANTITIES_AT[quantity](curve, reading, at)
