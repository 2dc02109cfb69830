"""Figures 1 to 3: published, reproduced and corrected learning curves side by side, and below them where they end."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.reporting.lines import draw_variant, finish, legend_lines, lone_marker
from stages.reporting.studies import Result
from stages.reporting.style import CORRECTED, PUBLISHED, REPRODUCED, accuracy_axis, new_figure
from stages.reporting.sweeps import VALUES, Sweep, finals

COLUMNS = ("published", "reproduced", "corrected")
MARKS = {
    "published": {"color": PUBLISHED, "marker": "o", "markerfacecolor": "white", "markersize": 7},
    "reproduced": {"color": REPRODUCED, "marker": "D", "markersize": 4.5},
    "corrected": {"color": CORRECTED, "marker": "s", "markersize": 5},
}


def draw_sweep(sweep: Sweep) -> Figure:
    """Columns share their scales, so that curves may be compared across them."""
    figure = new_figure(8.4)
    curves, summary = figure.subfigures(2, 1, height_ratios=(2.75, 1))
    grid = curves.subplots(2, 3, sharex=True, sharey="row")
    results: dict[str, Result | None] = {"reproduced": sweep.reproduced, "corrected": sweep.corrected}
    for column, (top, bottom) in zip(COLUMNS, grid.T, strict=True):
        for axes, quantity in ((top, "accuracy"), (bottom, "loss")):
            if column == "published":
                draw_published(axes, sweep, quantity)
            elif result := results[column]:
                for variant in result.study.variants:
                    draw_variant(axes, result, variant.name, quantity, sweep.looks[sweep.label(variant)])
            else:
                axes.text(0.5, 0.5, "not in params.yaml", transform=axes.transAxes, ha="center")
        split = results[column].split if results.get(column) else "test"
        top.set_title(f"{column}, {split} images")
    grid[0, 0].set_ylabel("accuracy")
    grid[1, 0].set_ylabel("cross-entropy loss (nats)")
    finish(grid[0], grid[1])
    for axes in grid[1]:
        axes.set_xlabel("epoch")
    curves.legend(
        handles=legend_lines(sweep.looks),
        title=sweep.name.replace("_", " "),
        loc="outside lower center",
        ncols=len(sweep.looks),
        handlelength=2.1,
        columnspacing=1.2,
    )
    draw_finals(summary.subplots(), sweep)
    return figure


def draw_published(axes: Axes, sweep: Sweep, quantity: str) -> None:
    """The printed numbers of one sweep."""
    for variant, epochs in sweep.published.groupby("variant", sort=False):
        look = sweep.looks[str(variant)]
        axes.plot(epochs["epoch"], epochs[quantity], marker=lone_marker(epochs), **look)


def draw_finals(axes: Axes, sweep: Sweep) -> None:
    """Test accuracy after training by setting, the three columns beside each other; bars reach over the seeds."""
    labels = list(sweep.looks)
    tables = finals(sweep)
    for place, (column, table) in enumerate(tables.items()):
        x = np.array([labels.index(label) for label in table.index]) + 0.16 * (place - (len(tables) - 1) / 2)
        axes.vlines(x, table["low"], table["high"], color=MARKS[column]["color"], linewidth=1.5)
        axes.plot(x, table["mean"], linestyle="", label=column, **MARKS[column])
    accuracy_axis(axes)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(sweep.name.replace("_", " ") + (" (not to scale)" if sweep.name in VALUES else ""))
    axes.set_ylabel("final test accuracy")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
