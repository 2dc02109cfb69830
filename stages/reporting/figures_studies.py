"""The figure of a study: where its runs end, and how they get there, with one colour for each source of numbers."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.reporting import studies, style
from stages.reporting.studies import PUBLISHED, View
from stages.reporting.style import SMALL, new_figure
from stages.verdicts.reading import Curves
from stages.verdicts.statistics import of_mean

COLOURS = {
    studies.PUBLISHED: style.PUBLISHED,
    studies.AS_RUN: style.AS_RUN,
    "F1 fixed": style.ONE_FIXED,
    "F2 fixed": style.ONE_FIXED,
    studies.FIXED: style.FIXED,
    studies.ADDED: style.ADDED,
}
MARKS = {studies.PUBLISHED: "x", studies.AS_RUN: "o", studies.FIXED: "s", studies.ADDED: "^"}
COLUMNS = 3  # panels of curves in a row
FAILED = 0.25  # accuracies below are of runs that collapsed: they are drawn at the edge, with their number


def draw_study(view: View) -> Figure:
    """Above, a row for each variant; below, a panel of curves for each."""
    rows = -(-len(view.labels) // COLUMNS)
    lines = sum(len(sources_of(view, label)) for label in view.labels)
    heading, *sources = findings(view)
    heights = 0.75 + 0.12 * len(sources) + 0.1 * len(view.labels) + 0.105 * lines, 0.35 + 1.05 * rows
    figure = new_figure(sum(heights) + 0.35)
    figure.suptitle(heading, x=0.012, ha="left", fontsize=9.5, fontweight="bold")
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    above.suptitle("\n".join(sources), x=0.012, ha="left", fontsize=SMALL, color=style.NOTE)
    draw_ends(above.subplots(), view)
    draw_curves(below.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False), view)
    below.supxlabel("epoch", fontsize=SMALL, color=style.NOTE)
    below.supylabel("accuracy", fontsize=SMALL, color=style.NOTE)
    return figure


def findings(view: View) -> list[str]:
    """What the study shows: how much of it is reproduced, and the best and the worst variant of each source."""
    reproduced, run = view.reproduced
    found = f": {reproduced} of {run} published runs reproduced" if run else ""
    return [view.title + found, *(extremes(name, curves) for name, curves in view.sources.items())]


def extremes(source: str, curves: Curves) -> str:
    """The best and the worst variant of a source: `as run: best 16, 0.890; worst 4096, 0.832`."""
    means = curves.runs.groupby("variant", sort=False)["end"].mean().dropna()
    if len(means) < 2:
        return f"{source}: {means.iloc[0]:.3f}" if len(means) else f"{source}: no finite accuracy"
    best, worst = means.idxmax(), means.idxmin()
    return f"{source}: best {best}, {means[best]:.3f}; worst {worst}, {means[worst]:.3f}"


def sources_of(view: View, label: str) -> dict[str, Curves]:
    """The sources that have a variant."""
    return {name: curves for name, curves in view.sources.items() if label in curves.variants}


def draw_ends(axes: Axes, view: View) -> None:
    """Accuracies after training: the published one, and of ours the seeds, their mean, and the prediction interval."""
    low, high = reach(view)
    pad = 0.04 * (high - low)
    place, ticks, seen = 0, [], dict.fromkeys(view.sources)
    for label in view.labels:
        own = sources_of(view, label)
        ticks.append(place + (len(own) - 1) / 2)
        for name, curves in own.items():
            values, colour = curves.runs_of(label)["end"].to_numpy(), COLOURS[name]
            mean = values.mean()
            if name != PUBLISHED and len(values) > 1:
                ends = np.clip(of_mean(values).prediction_interval(), low, high)
                axes.hlines(place, *np.nan_to_num(ends, nan=low), color=colour, linewidth=3.5, alpha=0.22)
                axes.plot(np.maximum(values, low), [place] * len(values), ".", color=colour, markersize=2.5)
            (seen[name],) = axes.plot([max(mean, low)], [place], MARKS.get(name, "D"), color=colour)
            if mean < low:
                beside = {"xytext": (6, -2.6), "textcoords": "offset points", "fontsize": SMALL, "color": colour}
                axes.annotate(f"{mean:.2f}", (low, place), **beside)
            place += 1
        place += 1
    axes.set_yticks(ticks, view.labels)
    axes.set_ylim(place - 0.8, -0.8)
    axes.set_xlim(low - pad, high + pad)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{view.split} accuracy after training")
    words = {"labelcolor": "linecolor", "handletextpad": 0.1, "columnspacing": 1, "borderpad": 0}
    axes.legend(seen.values(), seen, loc="lower right", bbox_to_anchor=(1.02, 1), ncols=len(seen), **words)


def reach(view: View) -> tuple[float, float]:
    """The accuracies that the rows show: all intervals of runs that learnt, within twice the reach of the runs."""
    ends, intervals = [], []
    for name, curves in view.sources.items():
        for _, values in curves.runs.groupby("variant")["end"]:
            ends += list(values)
            if name != PUBLISHED and values.mean() > FAILED:
                intervals += of_mean(values).prediction_interval()
    learnt = np.array([each for each in ends if each > FAILED] or [0.0, 1.0])
    low, high = learnt.min(), learnt.max()
    more = max(high - low, 0.005)
    found = np.clip([*learnt, *(each for each in intervals if np.isfinite(each))], low - more, min(high + more, 1))
    failed = 0.15 * np.ptp(found) if min(ends) <= FAILED else 0  # room for the numbers of runs that collapsed
    return found.min() - failed, found.max()


def draw_curves(grid: np.ndarray, view: View) -> None:
    """Accuracy by epoch: the mean of the seeds, a band for their range; runs that collapsed are thin lines."""
    learnt = []
    for axes, label in zip(grid.flat, view.labels, strict=False):
        for name, curves in sources_of(view, label).items():
            history, colour = curves.history_of(label), COLOURS[name]
            diverged = curves.diverged[curves.diverged["variant"] == label]["seed"]
            complete = history[~history["seed"].isin(diverged)]
            by_epoch = complete.groupby("epoch")["accuracy"].agg(["mean", "min", "max"])
            axes.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], color=colour, alpha=0.18, linewidth=0)
            axes.plot(by_epoch.index, by_epoch["mean"], color=colour, linewidth=1 if name == PUBLISHED else 1.4)
            for seed in diverged:
                run = history[history["seed"] == seed]
                axes.plot(run["epoch"], run["accuracy"], color=colour, linewidth=0.6)
            learnt.append(history[(history["accuracy"] > FAILED) & (history["epoch"] > 1)]["accuracy"])
        axes.set_title(label, fontsize=SMALL, pad=2)
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    found = pd.concat(learnt)
    if len(found):
        low, high = found.quantile(0.01), found.max()
        grid.flat[0].set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    for axes in grid.flat[len(view.labels) :]:
        axes.axis("off")
    for axes in grid.flat[max(len(view.labels) - COLUMNS, 0) : len(view.labels)]:
        axes.tick_params(labelbottom=True)
