"""The figure of a study: where its runs end, and how they get there, with one colour for each source of numbers."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.reporting import studies, style
from stages.reporting.studies import FAILED, PUBLISHED, View
from stages.reporting.style import SMALL, new_figure
from stages.verdicts.statistics import of_mean

COLOURS = {
    studies.PUBLISHED: style.PUBLISHED,
    studies.AS_RUN: style.AS_RUN,
    studies.F1_FIXED: style.ONE_FIXED,
    studies.F2_FIXED: style.ONE_FIXED,
    studies.CHANGED: style.ONE_FIXED,
    studies.FIXED: style.FIXED,
    studies.ADDED: style.ADDED,
}
MARKS = dict(zip(COLOURS, "xoDDDs^", strict=True))
COLUMNS = 3  # panels of curves in a row
LONGEST, SHORT = 68, 18  # characters of a line, and of a name, that fit
NOTE = {"fontsize": SMALL, "color": style.NOTE}


def draw_study(view: View) -> Figure:
    """Above, a row for each variant; below, a panel of curves for each."""
    rows = -(-len(view.labels) // COLUMNS)
    lines = sum(len(view.sources_of(label)) for label in view.labels)
    heading, *captions = view.captions
    sources = [line for text in captions for line in textwrap.wrap(text, LONGEST)]
    heights = 0.75 + 0.12 * len(sources) + 0.1 * len(view.labels) + 0.105 * lines, 0.35 + 1.05 * rows
    figure = new_figure(sum(heights) + 0.35)
    figure.suptitle(heading, x=0.012, ha="left", fontsize=9.5, fontweight="bold")
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    above.suptitle("\n".join(sources), x=0.012, ha="left", **NOTE)
    draw_ends(above.subplots(), view)
    draw_curves(below.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False), view)
    below.supxlabel("epoch", **NOTE)
    below.supylabel("accuracy", **NOTE)
    return figure


def draw_ends(axes: Axes, view: View) -> None:
    """Accuracies after training: the published one, and of ours the seeds, their mean, and the prediction interval."""
    low, high = reach(view)
    pad = 0.04 * (high - low)
    place, ticks, seen = 0, [], dict.fromkeys(view.sources)
    for label in view.labels:
        own = view.sources_of(label)
        ticks.append(place + (len(own) - 1) / 2)
        for name, curves in own.items():
            values, colour = curves.runs_of(label)["end"].to_numpy(), COLOURS[name]
            mean = values.mean()
            if name != PUBLISHED and len(values) > 1:
                ends = np.clip(of_mean(values).prediction_interval(), low, high)
                axes.hlines(place, *np.nan_to_num(ends, nan=low), color=colour, linewidth=3.5, alpha=0.22)
                axes.plot(np.maximum(values, low), [place] * len(values), ".", color=colour, markersize=2.5)
            (seen[name],) = axes.plot([max(mean, low)], [place], MARKS[name], color=colour)
            if mean < low:
                beside = {"xytext": (6, -2.6), "textcoords": "offset points", "fontsize": SMALL, "color": colour}
                axes.annotate(f"{mean:.2f}", (low, place), **beside)
            place += 1
        place += 1
    axes.set_yticks(ticks, map(short, view.labels))
    axes.set_ylim(place - 0.8, -0.8)
    axes.set_xlim(low - pad, high + pad)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{view.split} accuracy after training")
    words = {"labelcolor": "linecolor", "handletextpad": 0.1, "columnspacing": 1, "borderpad": 0}
    axes.legend(seen.values(), seen, loc="lower right", bbox_to_anchor=(1.02, 1), ncols=len(seen), **words)


def reach(view: View) -> tuple[float, float]:
    """The lowest and the highest accuracy that the rows show: the intervals of runs that learnt, but at most twice the
    reach of the runs.
    """
    ends, intervals = [], []
    for name, curves in view.sources.items():
        for _, values in curves.runs.groupby("variant")["end"]:
            ends += list(values)
            if name != PUBLISHED and values.mean() > FAILED:
                intervals += of_mean(values).prediction_interval()
    learnt = np.array([each for each in ends if each > FAILED] or [0.0, 1.0])
    low, high = learnt.min(), learnt.max()
    more = max(high - low, 0.005)
    shown = [low - 0.1 * more, high + 0.1 * more, *(each for each in intervals if np.isfinite(each))]
    found = np.clip(shown, low - more, min(high + more, 1))
    failed = 0.15 * np.ptp(found) if min(ends) <= FAILED else 0  # room for the numbers of runs that collapsed
    return found.min() - failed, found.max()


def draw_curves(grid: np.ndarray, view: View) -> None:
    """Accuracy by epoch: the mean of the seeds, and a band for their range, without the runs that were stopped as
    collapsed; these are thin lines.
    """
    learnt = []
    for axes, label in zip(grid.flat, view.labels, strict=False):
        for name, curves in view.sources_of(label).items():
            history, colour = curves.history_of(label), COLOURS[name]
            diverged = curves.diverged[curves.diverged["variant"] == label]["seed"]
            complete = history[~history["seed"].isin(diverged)]
            by_epoch = complete.groupby("epoch")["accuracy"].agg(["mean", "min", "max"])
            axes.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], color=colour, alpha=0.18, linewidth=0)
            line = {"color": colour, "linewidth": 1 if name == PUBLISHED else 1.4}
            axes.plot(by_epoch.index, by_epoch["mean"], "." if len(by_epoch) == 1 else "-", **line)
            for seed in diverged:
                run = history[history["seed"] == seed]
                axes.plot(run["epoch"], run["accuracy"], color=colour, linewidth=0.6)
            learnt.append(history[(history["accuracy"] > FAILED) & (history["epoch"] > 1)]["accuracy"])
        axes.set_title(short(label), fontsize=SMALL, pad=2)
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    found = pd.concat(learnt)
    if len(found):
        low, high = found.quantile(0.01), found.max()
        pad = max(0.05 * (high - low), 0.002)
        grid.flat[0].set_ylim(low - pad, high + pad)
        for axes, label in zip(grid.flat, view.labels, strict=False):
            shown = pd.concat([curves.history_of(label)["accuracy"] for curves in view.sources_of(label).values()])
            if shown.median() < low - pad:
                axes.text(0.5, 0.08, f"stays at {shown.median():.2f}", transform=axes.transAxes, ha="center", **NOTE)
    for axes in grid.flat[len(view.labels) :]:
        axes.axis("off")
    for axes in grid.flat[max(len(view.labels) - COLUMNS, 0) : len(view.labels)]:
        axes.tick_params(labelbottom=True)


def short(name: str) -> str:
    """A name that fits into a figure."""
    return name if len(name) <= SHORT else f"{name[: SHORT - 1]}…"
