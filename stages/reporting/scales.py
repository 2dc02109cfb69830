"""The scales that figures share: accuracies by the logarithm of the error, losses by their logarithm, plain ticks."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

# Tick labels, the ones wanted most first; a further group is drawn on where the ones before it leave an axis bare.
ACCURACIES = (
    (
        *(0.1, 0.5, 0.7, 0.8, 0.9, 0.3, 0.6, 0.85, 0.95, 0.75, 0.99),
        *(0.82, 0.84, 0.86, 0.88, 0.92, 0.94, 0.96, 0.98, 0.4, 0.65, 0.2),
        *(percent / 100 for percent in range(71, 99, 2)),
        *(percent / 1000 for percent in range(805, 995, 10)),
    ),
    (0.45, 0.35, 0.55, 0.25, 0.15, 0.05),
    tuple(percent / 100 for percent in range(22, 70, 2)),
    tuple(percent / 100 for percent in range(21, 71, 2)),
    tuple(thousandth / 1000 for thousandth in range(300, 1000, 2)),
    tuple(thousandth / 1000 for thousandth in range(301, 1000, 2)),
)
LOSSES = (
    (1, 10, 0.1, 0.5, 5, 0.2, 2, 20, 0.3, 3, 30, 0.4, 0.7, 0.15, 1.5, 0.25, 0.35, 0.6, 0.45, 0.8, 50, 100, 0.9),
    (1.6, 1.8, 1.4, 1.2, 2.2, 1.7, 1.9, 1.3, 2.5, 1.1, 1.55, 1.45),
)


def accuracy_axis(axes: Axes, which: str = "y", apart: float | None = None) -> None:
    """Spread accuracies by the logarithm of the error: 0.88 and 0.90 are told apart, and 0.1 still fits.

    `apart`: of the axis, how much there must be between labels, where the panel is smaller than most.
    """
    top = 1 - 1e-4

    def forward(accuracy: np.ndarray) -> np.ndarray:
        return -np.log(1 - np.minimum(accuracy, top))

    def inverse(spread: np.ndarray) -> np.ndarray:
        return 1 - np.exp(-np.asarray(spread))

    set_scale = axes.set_yscale if which == "y" else axes.set_xscale
    set_scale("function", functions=(forward, inverse))
    plain_ticks(axes, which, ACCURACIES, forward, apart)


def loss_axis(axes: Axes) -> None:
    """A logarithmic axis with plain numbers: losses run from a third to thirty."""
    axes.set_yscale("log")
    plain_ticks(axes, "y", LOSSES, np.log)


def plain_ticks(
    axes: Axes, which: str, groups: Sequence[Sequence[float]], scale: Callable, apart: float | None = None
) -> None:
    """Call after drawing. Label what the axis shows of the values, but none that would crowd one named before it."""
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    axis, usual, few = (axes.yaxis, 0.085, 5) if which == "y" else (axes.xaxis, 0.2, 3)
    nearest = (apart or usual) * (scale(high) - scale(low))
    chosen: list[float] = []
    for group in groups:
        for value in group if len(chosen) < few else ():
            if low <= value <= high and all(abs(scale(value) - scale(other)) >= nearest for other in chosen):
                chosen.append(value)
    axis.set_major_locator(FixedLocator(sorted(chosen)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
