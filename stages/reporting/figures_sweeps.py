"""Figures of the published studies: learning curves, published and ours, side by side; below them, where they end."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.reporting import sweeps
from stages.reporting.colours import CORRECTED, NOTE, PAPER, PUBLISHED, REPRODUCED
from stages.reporting.end_labels import have_room, name_ends
from stages.reporting.lines import draw_variant, finish, legend_lines
from stages.reporting.scales import accuracy_axis
from stages.reporting.studies import spread
from stages.reporting.style import THIN, new_figure
from stages.reporting.sweeps import Sweep

AGAIN = {"color": REPRODUCED, "marker": "D", "markersize": 3.8}
MENDED = {"color": CORRECTED, "marker": "s", "markersize": 4}
MARKS = {
    sweeps.PUBLISHED: {"color": PUBLISHED, "marker": "o", "markerfacecolor": PAPER, "markersize": 5.5},
    sweeps.REPRODUCED: AGAIN,
    sweeps.RUN: AGAIN,
    sweeps.CORRECTED: MENDED,
    sweeps.REPORTED: MENDED,
}
# Characters that fit beside each other: into a row of the legend, where a handle takes up six, and under the axis.
LEGEND_WIDTH, TICKS_WIDTH = 95, 78
PANEL = 1.75  # inches: about the height of a panel of curves


def draw_sweep(sweep: Sweep) -> Figure:
    """Columns share their scales, so that curves may be compared across them."""
    figure = new_figure(6.7)
    curves, summary = figure.subfigures(2, 1, height_ratios=(2.9, 1))
    grid = curves.subplots(2, len(sweep.columns), sharex=True, sharey="row", squeeze=False)
    for (column, runs), (top, bottom) in zip(sweep.columns.items(), grid.T, strict=True):
        for axes, quantity in ((top, "accuracy"), (bottom, "loss")):
            if runs is None:
                axes.text(0.5, 0.5, "not in params.yaml", transform=axes.transAxes, ha="center", color=NOTE)
                continue
            for variant, look in sweep.looks.items():
                if variant in runs.variants:
                    draw_variant(axes, runs, variant, quantity, look, len(sweep.looks))
        top.set_title(f"{column}, {runs.split if runs else sweep.split} images", color=MARKS[column]["color"])
    grid[0, 0].set_ylabel("accuracy")
    grid[1, 0].set_ylabel("cross-entropy loss (nats)")
    finish(grid[0], grid[1])
    for axes in grid[1]:
        axes.set_xlabel("epoch")
    if have_room(sweep.looks):
        for runs, (top, bottom) in zip(sweep.columns.values(), grid.T, strict=True):
            if runs:
                name_ends(top, runs, sweep.looks, "accuracy", PANEL)
                name_ends(bottom, runs, sweep.looks, "loss", PANEL)
    curves.legend(
        handles=legend_lines(sweep.looks),
        title=sweep.title.lower() + (f" (baseline: {sweep.baseline}, the thicker line)" if sweep.baseline else ""),
        loc="outside lower center",
        ncols=legend_columns(list(sweep.looks)),
        handlelength=2.4,
        columnspacing=1.2,
    )
    draw_ends(summary.subplots(), sweep)
    return figure


def legend_columns(labels: Sequence[str]) -> int:
    """As many as fit beside each other, in rows of about equal length."""
    fitting = max(LEGEND_WIDTH // (6 + max(map(len, labels))), 1)
    rows = -(-len(labels) // fitting)
    return -(-len(labels) // rows)


def draw_ends(axes: Axes, sweep: Sweep) -> None:
    """Accuracy after training by label, the columns beside each other; a dot a seed, a bar over all of them."""
    labels = list(sweep.looks)
    known = {column: runs for column, runs in sweep.columns.items() if runs}
    for place, (column, runs) in enumerate(known.items()):
        table = spread(runs, sweep.ends)
        x = np.array([labels.index(label) for label in table["variant"]]) + 0.16 * (place - (len(known) - 1) / 2)
        axes.vlines(x, table["low"], table["high"], color=MARKS[column]["color"], linewidth=THIN)
        seeds = runs.runs["variant"].map(dict(zip(table["variant"], x, strict=True)))
        axes.plot(seeds, runs.runs[sweep.ends], ".", color=MARKS[column]["color"], markersize=3, alpha=0.6)
        axes.plot(x, table["mean"], linestyle="", label=column, **MARKS[column])
    accuracy_axis(axes)
    width = TICKS_WIDTH // len(labels)
    axes.set_xticks(range(len(labels)), [textwrap.fill(label, width, break_long_words=False) for label in labels])
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(sweep.title.lower() + (" (not to scale)" if sweep.ordered else ""))
    axes.set_ylabel(f"final {sweep.split} accuracy")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=1, labelcolor="markeredgecolor")
