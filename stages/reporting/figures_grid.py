"""Every published run of a half of the study on one page and one scale: its curve over that of the training here."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from stages.reporting.colours import OUTSIDE, PUBLISHED, REPRODUCED
from stages.reporting.lines import draw_variant, legend_lines
from stages.reporting.looks import SOLID
from stages.reporting.naming import AS_RUN, label
from stages.reporting.published import Published
from stages.reporting.reproduction import NO
from stages.reporting.scales import accuracy_axis
from stages.reporting.studies import Result
from stages.reporting.style import SMALL, new_figure

COLUMNS, HEIGHT = 6, 1.3  # panels beside each other, inches of one
APART = 0.16  # of a panel's height, from one label to the next
EPOCHS = (1, 3, 10, 30, 100)
LOOKS = {
    "published": {"color": PUBLISHED, "linestyle": SOLID},
    "as run here, mean and range over seeds": {"color": REPRODUCED, "linestyle": SOLID},
}


def draw_grid(runs: pd.DataFrame, published: Published, results: Mapping[str, Result]) -> Figure:
    """A panel a row of `runs`, the table of reproductions; those that don't come back stand on a coloured ground."""
    rows = -(-len(runs) // COLUMNS)
    figure = new_figure(HEIGHT * rows + 0.5)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(runs) :]:
        axes.axis("off")
    for axes, run in zip(grid.flat, runs.itertuples(), strict=False):
        draw_run(axes, run.study, run.variant, published, results)
        axes.set_title(f"{run.study.replace('_', ' ')}\n{label(run.variant)}", fontsize=SMALL)
        if run.comes_back == NO:
            axes.set_facecolor(OUTSIDE)
    for axes in grid.flat[max(len(runs) - COLUMNS, 0) : len(runs)]:
        axes.tick_params(labelbottom=True)  # the last panel of each column, in whichever row that is
    accuracy_axis(grid[0, 0], apart=APART)
    epoch_axis(grid[0, 0], published)
    figure.supylabel(f"{published.split} accuracy", fontsize=SMALL + 1)
    handles = legend_lines(LOOKS)
    if (runs["comes_back"] == NO).any():
        handles.append(Patch(color=OUTSIDE, label="ends elsewhere"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def epoch_axis(axes: Axes, published: Published) -> None:
    """By ratios where runs are of unlike lengths, so that short ones are seen beside long ones."""
    lengths = published.history.groupby(["study", "variant"])["epoch"].max()
    logarithmic = lengths.nunique() > 1
    if logarithmic:
        axes.set_xscale("log")
    ticks = [epoch for epoch in EPOCHS if epoch <= lengths.max()] if logarithmic else np.linspace(0, lengths.max(), 4)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.figure.supxlabel("epoch, on a logarithmic scale" if logarithmic else "epoch", fontsize=SMALL + 1)


def draw_run(axes: Axes, study: str, variant: str, published: Published, results: Mapping[str, Result]) -> None:
    """The published curve over ours."""
    theirs, ours = LOOKS.values()
    for name in (f"published_{study}", study):
        result = results.get(name)
        if result is not None:
            names = [each for each in (f"{variant}{AS_RUN}", variant) if each in result.variants]
            if names:
                draw_variant(axes, result, names[0], "accuracy", ours)
            break
    draw_variant(axes, published.curves(study), variant, "accuracy", theirs)
