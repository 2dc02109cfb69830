"""Curves named where they end, so that few of them are read without a legend."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from stages.reporting.colours import PAPER
from stages.reporting.studies import Curves
from stages.reporting.style import SMALL

MOST, LONGEST = 4, 10  # as many curves, and characters of a name, have room at the right of a panel
APART = 1.2  # lines of text from one label to the next


def have_room(looks: Mapping[str, dict]) -> bool:
    """Whether the variants are few and their names short."""
    return len(looks) <= MOST and max(map(len, looks)) <= LONGEST


def name_ends(axes: Axes, curves: Curves, looks: Mapping[str, dict], figure: str, height: float) -> None:
    """Write each variant's label beside the last point of its curve. Call it when the scales are set.

    `height`, in inches, is about that of the panel: labels of curves that end side by side are spread over it.
    """
    ends = {label: end for label in looks if (end := end_of(curves, label, figure))}
    if len({epoch for epoch, _ in ends.values()}) != 1:
        return  # names of curves that end early would stand in the way of the others
    places = spread_out([share_of(axes, value) for _, value in ends.values()], APART * SMALL / 72 / height)
    for (label, (epoch, _)), place in zip(ends.items(), places, strict=True):
        axes.annotate(
            label,
            (epoch, place),
            xycoords=axes.get_xaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=looks[label]["color"],
            fontsize=SMALL,
            fontweight="bold",
            annotation_clip=False,
            path_effects=[withStroke(linewidth=2, foreground=PAPER)],
        )


def end_of(curves: Curves, label: str, figure: str) -> tuple[int, float] | None:
    """The last epoch that any run of a variant reached, and the mean of those that did; None without a number."""
    history = curves.history_of(label)
    last = history[history["epoch"] == history["epoch"].max()]
    value = last[figure].mean()
    return (int(last["epoch"].iloc[0]), float(value)) if np.isfinite(value) else None


def share_of(axes: Axes, value: float) -> float:
    """How high in the panel a value lies, from 0 to 1."""
    scale = axes.yaxis.get_transform()
    low, high, at = scale.transform(np.array([*axes.get_ylim(), value]))
    return float(np.clip((at - low) / (high - low), 0, 1))


def spread_out(places: list[float], gap: float) -> list[float]:
    """Places moved up and down as little as keeps neighbours `gap` apart, in the order they have, within 0 to 1."""
    order = np.argsort(places, kind="stable")
    found = np.array(places)[order]
    for _ in range(20 * len(found)):
        for below in range(len(found) - 1):
            lacking = gap - (found[below + 1] - found[below])
            if lacking > 0:
                found[below] -= lacking / 2
                found[below + 1] += lacking / 2
    found -= max(found.max() - 1, 0)
    found += max(-found.min(), 0)
    return list(found[np.argsort(order)])
