"""The marks that all learning-curve figures share: a curve with its band, the crosses where runs were given up."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stages.reporting.scales import accuracy_axis, loss_axis
from stages.reporting.studies import Curves, curve
from stages.reporting.style import HEAVY, THIN

BAND = 0.9  # how dense the bands of all variants are together


def draw_variant(axes: Axes, curves: Curves, variant: str, figure: str, look: dict, among: int = 3) -> None:
    """The runs that went through: their mean as a line, lowest to highest as a band. Diverged runs one by one.

    Bands are the fainter the more variants they are `among`.
    """
    history = curves.history_of(variant)
    given_up = curves.diverged[curves.diverged["variant"] == variant]["seed"]
    whole = history[~history["seed"].isin(given_up)]
    points = curve(whole, figure)
    axes.plot(points["epoch"], points["mean"], marker=lone_marker(points), markersize=3, **look)
    if whole["seed"].nunique() > 1:
        density = BAND / (among + 2)
        axes.fill_between(
            points["epoch"], points["low"], points["high"], color=look["color"], alpha=density, linewidth=0
        )
    for seed in given_up:
        draw_diverged(axes, history[history["seed"] == seed], figure, look)


def draw_diverged(axes: Axes, run: pd.DataFrame, figure: str, look: dict) -> None:
    """A thin line up to a cross, which stands on the upper edge where the last figure is no number."""
    axes.plot(run["epoch"], run[figure], **{**look, "linewidth": THIN})
    end = run.iloc[-1]
    finite = np.isfinite(end[figure])
    axes.plot(
        [end["epoch"]],
        [end[figure] if finite else 1],
        "x",
        color=look["color"],
        markersize=4,
        markeredgewidth=1.1,
        clip_on=False,
        zorder=5,
        transform=axes.transData if finite else axes.get_xaxis_transform(),
    )


def lone_marker(points: pd.DataFrame) -> str:
    """A line of one point is invisible without a marker."""
    return "o" if len(points) == 1 else ""


def finish(accuracies: Sequence[Axes], losses: Sequence[Axes]) -> None:
    """Scales and epochs of a row of panels of accuracy and one of loss; call it when all is drawn."""
    accuracy_axis(accuracies[0])
    loss_axis(losses[0])
    for axes in (*accuracies, *losses):
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10), integer=True))


def legend_lines(looks: Mapping[str, dict]) -> list[Line2D]:
    """Legend entries, thicker than the curves so that colours are told apart."""
    return [Line2D([], [], label=label, **{**look, "linewidth": HEAVY}) for label, look in looks.items()]
