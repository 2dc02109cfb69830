"""Figures of studies: published curves and ours, further studies, training with one change, every published run."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from stages.reporting import style, sweeps
from stages.reporting.curves import accuracy_axis, draw_variant, legend_lines, name_ends, set_scales
from stages.reporting.names import AS_PUBLISHED, label
from stages.reporting.style import SMALL, THIN, new_figure, styles_of
from stages.reporting.sweeps import Sweep
from stages.verdicts.reading import AS_RUN, Curves, Framework, StudyResult
from stages.verdicts.reproduction import NO

DIAMOND = {"color": style.REPRODUCED, "marker": "D", "markersize": 3.8}
SQUARE = {"color": style.CORRECTED, "marker": "s", "markersize": 4}
MARKS = {
    sweeps.PUBLISHED: {**{"color": style.PUBLISHED, "marker": "o", "markerfacecolor": style.PAPER, "markersize": 5.5}},
    sweeps.REPRODUCED: DIAMOND,
    sweeps.RUN: DIAMOND,
    sweeps.CORRECTED: SQUARE,
    sweeps.REPORTED: SQUARE,
}
QUANTITIES = ("accuracy", "loss")
PUBLISHED_LINE = {"color": style.PUBLISHED, "linestyle": style.SOLID}
# How many characters fit into a row of the legend, where a line counts as six, and under the axis.
LEGEND_WIDTH, TICKS_WIDTH = 95, 78
PANEL = 1.75  # inches: about the height of a panel of curves
GRID_COLUMNS, GRID_HEIGHT = 6, 1.3  # panels in a row, inches of one
GRID_LABELS = 0.16  # of a panel's height, from one label to the next
GRID_EPOCHS = (1, 3, 10, 30, 100)
GRID_STYLES = {
    "published": PUBLISHED_LINE,
    "as run here, mean and range over seeds": {"color": style.REPRODUCED, "linestyle": style.SOLID},
}


def draw_sweep(sweep: Sweep) -> Figure:
    """Accuracy and loss by epoch, a column for each source on common scales; below, the final accuracies."""
    figure = new_figure(6.7)
    curves, summary = figure.subfigures(2, 1, height_ratios=(2.9, 1))
    grid = curves.subplots(2, len(sweep.columns), sharex=True, sharey="row", squeeze=False)
    draw_panels(grid, sweep.columns, sweep.styles, len(sweep.styles))
    for (column, runs), panels in zip(sweep.columns.items(), grid.T, strict=True):
        panels[0].set_title(f"{column}, {runs.split if runs else sweep.split} images", color=MARKS[column]["color"])
        for axes, quantity in zip(panels, QUANTITIES, strict=True):
            if runs:
                name_ends(axes, runs, sweep.styles, quantity, PANEL)
    grid[0, 0].set_ylabel("accuracy")
    grid[1, 0].set_ylabel("cross-entropy loss (nats)")
    fitting = max(LEGEND_WIDTH // (6 + max(map(len, sweep.styles))), 1)
    rows = -(-len(sweep.styles) // fitting)
    curves.legend(
        handles=legend_lines(sweep.styles),
        title=sweep.title.lower() + (f" (baseline: {sweep.baseline}, the thicker line)" if sweep.baseline else ""),
        loc="outside lower center",
        ncols=-(-len(sweep.styles) // rows),  # rows of about equal length
        handlelength=2.4,
        columnspacing=1.2,
    )
    draw_ends(summary.subplots(), sweep)
    return figure


def draw_panels(
    grid: np.ndarray, columns: Mapping[str, Curves | None], styles: dict[str, dict], among: int = 3
) -> None:
    """A column of panels for each of `columns`: accuracy above, loss below."""
    for curves, panels in zip(columns.values(), grid.T, strict=True):
        for axes, quantity in zip(panels, QUANTITIES, strict=True):
            if curves is None:
                axes.text(0.5, 0.5, "no results", transform=axes.transAxes, ha="center", color=style.NOTE)
                continue
            for variant in (each for each in styles if each in curves.variants):
                draw_variant(axes, curves, variant, quantity, styles[variant], among)
        panels[1].set_xlabel("epoch")
    set_scales(grid[0], grid[1])


def draw_ends(axes: Axes, sweep: Sweep) -> None:
    """Accuracy after training by label; each column has its marker: one dot per seed, a line over all of them."""
    labels = list(sweep.styles)
    known = {column: runs for column, runs in sweep.columns.items() if runs}
    for place, (column, runs) in enumerate(known.items()):
        ends = runs.runs.groupby("variant", sort=False)[sweep.ends].agg(["mean", "min", "max"]).loc[runs.variants]
        x = np.array([labels.index(variant) for variant in ends.index]) + 0.16 * (place - (len(known) - 1) / 2)
        colour = MARKS[column]["color"]
        axes.vlines(x, ends["min"], ends["max"], color=colour, linewidth=THIN)
        seeds = runs.runs["variant"].map(dict(zip(ends.index, x, strict=True)))
        axes.plot(seeds, runs.runs[sweep.ends], ".", color=colour, markersize=3, alpha=0.6)
        axes.plot(x, ends["mean"], linestyle="", label=column, **MARKS[column])
    accuracy_axis(axes)
    width = TICKS_WIDTH // len(labels)
    axes.set_xticks(range(len(labels)), [textwrap.fill(each, width, break_long_words=False) for each in labels])
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xlabel(sweep.title.lower() + (" (not to scale)" if sweep.ordered else ""))
    axes.set_ylabel(f"final {sweep.split} accuracy")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=1, labelcolor="markeredgecolor")


def draw_study(result: StudyResult) -> Figure:
    """Accuracy and loss by epoch; at the right each variant's seeds, whose labels are the legend of all three."""
    curves = result.select({label(variant): variant for variant in result.variants})
    styles = styles_of(result.name, curves.variants)
    height = max(2.6, 1.3 + 0.26 * len(styles))
    figure = new_figure(height)
    accuracy, loss, ends = figure.subplots(1, 3, width_ratios=(1, 1, 0.8))
    for variant, line in styles.items():
        draw_variant(accuracy, curves, variant, "accuracy", line, len(styles))
        draw_variant(loss, curves, variant, "loss", line, len(styles))
    set_scales([accuracy], [loss])
    for axes, quantity, name in ((accuracy, "accuracy", "accuracy"), (loss, "loss", "loss (nats)")):
        name_ends(axes, curves, styles, quantity, height - 0.7)
        axes.set_xlabel("epoch")
        axes.set_title(f"{result.split} {name}")
    draw_ends_by_variant(ends, curves, styles)
    ends.set_title("final, each seed")
    ends.set_xlabel(f"{result.split} accuracy")
    return figure


def draw_ends_by_variant(axes: Axes, curves: Curves, styles: Mapping[str, dict]) -> None:
    """One row per variant, in the style of its curves: the final accuracy of every seed, and a bar at their mean."""
    for place, (variant, line) in enumerate(styles.items()):
        values = curves.runs_of(variant)["final_accuracy"]
        axes.axhline(place, color=line["color"], linestyle=line["linestyle"], linewidth=THIN, alpha=0.5)
        axes.plot([values.mean()], [place], "|", color=line["color"], markersize=12, markeredgewidth=2)
        axes.plot(values, [place] * len(values), "o", color=line["color"], markersize=3.5, alpha=0.75)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.1)
    accuracy_axis(axes, "x")
    axes.set_yticks(range(len(styles)), list(styles))
    for tick, line in zip(axes.get_yticklabels(), styles.values(), strict=True):
        tick.set_color(line["color"])
        tick.set_fontweight("bold")
    axes.set_ylim(len(styles) - 0.5, -0.5)


def draw_groups(groups: Mapping[str, Curves]) -> Figure:
    """One column per group: the training as published in grey, those with one change in colour."""
    labels = list(dict.fromkeys(variant for curves in groups.values() for variant in curves.variants))
    styles = {AS_PUBLISHED: PUBLISHED_LINE, **styles_of("", [each for each in labels if each != AS_PUBLISHED])}
    figure = new_figure(4.2)
    grid = figure.subplots(2, len(groups), sharex=True, sharey="row", squeeze=False)
    draw_panels(grid, groups, styles)
    for axes, title in zip(grid[0], groups, strict=True):
        axes.set_title(title)
    split = next(iter(groups.values())).split
    grid[0, 0].set_ylabel(f"{split} accuracy")
    grid[1, 0].set_ylabel(f"{split} loss (nats)")
    figure.legend(handles=legend_lines(styles), loc="outside lower center", ncols=min(len(styles), 5))
    return figure


def draw_grid(runs: pd.DataFrame, framework: Framework) -> Figure:
    """A panel for each of `runs`, the framework's reproductions, on one scale; those not reproduced are coloured."""
    published = framework.published
    rows = -(-len(runs) // GRID_COLUMNS)
    figure = new_figure(GRID_HEIGHT * rows + 0.5)
    grid = figure.subplots(rows, GRID_COLUMNS, sharex=True, sharey=True, squeeze=False)
    theirs, ours = GRID_STYLES.values()
    for axes in grid.flat[len(runs) :]:
        axes.axis("off")
    for axes, run in zip(grid.flat, runs.itertuples(), strict=False):
        if framework.name == "NumPy":
            result, names = framework.results.get(f"published_{run.study}"), [run.variant]
        else:
            result, names = framework.results.get(run.study), [f"{run.variant}{AS_RUN}", run.variant]
        if found := [name for name in names if result and name in result.variants]:
            draw_variant(axes, result, found[0], "accuracy", ours)
        draw_variant(axes, published.curves(run.study), run.variant, "accuracy", theirs)
        axes.set_title(f"{run.study.replace('_', ' ')}\n{label(run.variant)}", fontsize=SMALL)
        if run.reproduced == NO:
            axes.set_facecolor(style.OUTSIDE)
    for axes in grid.flat[max(len(runs) - GRID_COLUMNS, 0) : len(runs)]:
        axes.tick_params(labelbottom=True)  # the last panel of each column, whatever its row
    accuracy_axis(grid[0, 0], apart=GRID_LABELS)
    epochs = published.history.groupby(["study", "variant"])["epoch"].max()
    logarithmic = epochs.nunique() > 1  # so that short runs are visible next to long ones
    ticks = (
        [epoch for epoch in GRID_EPOCHS if epoch <= epochs.max()] if logarithmic else np.linspace(0, epochs.max(), 4)
    )
    if logarithmic:
        grid[0, 0].set_xscale("log")
    grid[0, 0].xaxis.set_major_locator(FixedLocator(ticks))
    grid[0, 0].xaxis.set_minor_locator(NullLocator())
    grid[0, 0].xaxis.set_major_formatter(ScalarFormatter())
    figure.supxlabel("epoch, on a logarithmic scale" if logarithmic else "epoch", fontsize=SMALL + 1)
    figure.supylabel(f"{published.split} accuracy", fontsize=SMALL + 1)
    handles = legend_lines(GRID_STYLES)
    if (runs["reproduced"] == NO).any():
        handles.append(Patch(color=style.OUTSIDE, label="not reproduced"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure
