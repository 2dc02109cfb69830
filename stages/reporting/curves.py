"""Learning curves: lines with bands, crosses where runs were stopped, scales, and names at the ends of curves."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from stages.reporting.style import HEAVY, PAPER, SMALL, THIN
from stages.verdicts.reading import Curves

BAND = 0.9  # opacity of the bands of all variants together
MOST, LONGEST = 4, 10  # at most so many names of so many characters fit at the right of a panel
APART = 1.2  # lines of text from one name to the next
# Tick labels, the preferred ones first; a further group is used if the groups before give too few.
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


def draw_variant(axes: Axes, curves: Curves, variant: str, figure: str, style: dict, among: int = 3) -> None:
    """The mean over complete runs as a line, their range as a band, fainter the more variants it is `among`.

    Each diverged run is a thin line up to a cross, which is on the upper edge where the last value is not finite.
    """
    history = curves.history_of(variant)
    diverged = curves.diverged[curves.diverged["variant"] == variant]["seed"]
    complete = history[~history["seed"].isin(diverged)]
    points = over_seeds(complete, figure)
    marker = "o" if len(points) == 1 else ""  # a line of one point is invisible without
    axes.plot(points["epoch"], points["mean"], marker=marker, markersize=3, **style)
    if complete["seed"].nunique() > 1:
        band = {"color": style["color"], "alpha": BAND / (among + 2), "linewidth": 0}
        axes.fill_between(points["epoch"], points["low"], points["high"], **band)
    for seed in diverged:
        run = history[history["seed"] == seed]
        axes.plot(run["epoch"], run[figure], **{**style, "linewidth": THIN})
        epoch, value = run[["epoch", figure]].iloc[-1]
        finite = np.isfinite(value)
        place = axes.transData if finite else axes.get_xaxis_transform()
        cross = {"markersize": 4, "markeredgewidth": 1.1, "clip_on": False, "zorder": 5, "transform": place}
        axes.plot([epoch], [value if finite else 1], "x", color=style["color"], **cross)


def over_seeds(history: pd.DataFrame, figure: str) -> pd.DataFrame:
    """By epoch: mean, low and high of `figure` over the seeds of one variant's epochs."""
    by_epoch = history.groupby("epoch")[figure].agg(mean="mean", low="min", high="max")
    return by_epoch.dropna().reset_index()


def legend_lines(styles: Mapping[str, dict]) -> list[Line2D]:
    """Legend entries, thicker than the curves so that colours are easy to distinguish."""
    return [Line2D([], [], label=label, **{**style, "linewidth": HEAVY}) for label, style in styles.items()]


def set_scales(accuracies: Sequence[Axes], losses: Sequence[Axes]) -> None:
    """Scales and epochs of a row of panels of accuracy and one of loss; call it after drawing."""
    accuracy_axis(accuracies[0])
    losses[0].set_yscale("log")
    plain_ticks(losses[0], "y", LOSSES, np.log)
    for axes in (*accuracies, *losses):
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10), integer=True))


def accuracy_axis(axes: Axes, which: str = "y", apart: float | None = None) -> None:
    """Spread accuracies by the logarithm of the error: 0.88 and 0.90 can be distinguished, and 0.1 still fits.

    `apart`: the least share of the axis between labels, where the panel is smaller than most.
    """
    top = 1 - 1e-4

    def forward(accuracy: np.ndarray) -> np.ndarray:
        return -np.log(1 - np.minimum(accuracy, top))

    def inverse(spread: np.ndarray) -> np.ndarray:
        return 1 - np.exp(-np.asarray(spread))

    set_scale = axes.set_yscale if which == "y" else axes.set_xscale
    set_scale("function", functions=(forward, inverse))
    plain_ticks(axes, which, ACCURACIES, forward, apart)


def plain_ticks(
    axes: Axes, which: str, groups: Sequence[Sequence[float]], scale: Callable, apart: float | None = None
) -> None:
    """Label those of the values that the axis shows, except those too close to an earlier one."""
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


def name_ends(axes: Axes, curves: Curves, styles: Mapping[str, dict], figure: str, height: float) -> None:
    """Write each label next to the last point of its curve, if labels are few and short and curves of equal length.

    Call it when the scales are set. `height`: about that of the panel, in inches; labels are spread over it.
    """
    if len(styles) > MOST or max(map(len, styles)) > LONGEST:
        return
    ends = {}
    for label in styles:
        history = curves.history_of(label)
        last = history[history["epoch"] == history["epoch"].max()]
        if np.isfinite(value := last[figure].mean()):
            ends[label] = int(last["epoch"].iloc[0]), float(value)
    if len({epoch for epoch, _ in ends.values()}) != 1:
        return
    scale = axes.yaxis.get_transform()
    low, high, *values = scale.transform(np.array([*axes.get_ylim(), *(value for _, value in ends.values())]))
    shares = [float(np.clip((value - low) / (high - low), 0, 1)) for value in values]
    places = spread_out(shares, APART * SMALL / 72 / height)
    for (label, (epoch, _)), place in zip(ends.items(), places, strict=True):
        axes.annotate(
            label,
            (epoch, place),
            xycoords=axes.get_xaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=styles[label]["color"],
            fontsize=SMALL,
            fontweight="bold",
            annotation_clip=False,
            path_effects=[withStroke(linewidth=2, foreground=PAPER)],
        )


def spread_out(places: list[float], gap: float) -> list[float]:
    """Positions from 0 to 1, moved as little as possible so that neighbours are `gap` apart; the order is kept."""
    order = np.argsort(places, kind="stable")
    found = np.array(places)[order]
    for _ in range(20 * len(found)):
        for below in range(len(found) - 1):
            lacking = max(gap - (found[below + 1] - found[below]), 0)
            found[below] -= lacking / 2
            found[below + 1] += lacking / 2
    found -= max(found.max() - 1, 0)
    found += max(-found.min(), 0)
    return list(found[np.argsort(order)])
