"""Figures of the studies beyond the published ones: learning curves, and where every seed ends."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.reporting.clipping import Arm
from stages.reporting.lines import draw_variant, finish, legend_lines
from stages.reporting.naming import NOT_CLIPPED
from stages.reporting.studies import Result
from stages.reporting.style import PUBLISHED, accuracy_axis, distinct_looks, new_figure


def draw_study(result: Result) -> Figure:
    """Accuracy and loss by epoch; at the right each variant's seeds, whose labels are the legend of all three."""
    looks = distinct_looks(result.variants)
    figure = new_figure(max(3.4, 1.6 + 0.32 * len(looks)))
    accuracy, loss, ends = figure.subplots(1, 3, width_ratios=(1, 1, 0.8))
    for variant, look in looks.items():
        draw_variant(accuracy, result, variant, "accuracy", look)
        draw_variant(loss, result, variant, "loss", look)
    finish([accuracy], [loss])
    for axes in (accuracy, loss):
        axes.set_xlabel("epoch")
    accuracy.set_title(f"{result.split} accuracy")
    loss.set_title(f"{result.split} loss (nats)")
    draw_ends_by_variant(ends, result, looks)
    return figure


def draw_ends_by_variant(axes: Axes, result: Result, looks: Mapping[str, dict]) -> None:
    """A row a variant: the final accuracy of every seed, and a bar at their mean."""
    for place, (variant, look) in enumerate(looks.items()):
        values = result.runs_of(variant)["final_accuracy"]
        axes.plot([values.mean()], [place], "|", color=look["color"], markersize=16, markeredgewidth=2.5)
        axes.plot(values, [place] * len(values), "o", color=look["color"], markersize=4.5, alpha=0.75)
    accuracy_axis(axes, "x")
    axes.set_title("final, each seed")
    axes.set_xlabel(f"{result.split} accuracy")
    axes.set_yticks(range(len(looks)), [variant.replace("_", " ") for variant in looks])
    for label, look in zip(axes.get_yticklabels(), looks.values(), strict=True):
        label.set_color(look["color"])
        label.set_fontweight("bold")
    axes.set_ylim(len(looks) - 0.5, -0.5)


def draw_clipping(groups: Mapping[str, list[Arm]]) -> Figure:
    """A column a learning rate: the unclipped training in grey under the clipped ones."""
    labels = list(dict.fromkeys(arm.label for group in groups.values() for arm in group))
    looks = distinct_looks([label for label in labels if label != NOT_CLIPPED])
    looks = {NOT_CLIPPED: {"color": PUBLISHED, "linestyle": "-"}, **looks}
    figure = new_figure(5.2)
    grid = figure.subplots(2, len(groups), sharex=True, sharey="row", squeeze=False)
    for column, (lr, group) in zip(grid.T, groups.items(), strict=True):
        for arm in group:
            for axes, quantity in zip(column, ("accuracy", "loss"), strict=True):
                draw_variant(axes, arm.result, arm.variant, quantity, looks[arm.label])
        column[0].set_title(f"learning rate {lr}")
        column[1].set_xlabel("epoch")
    split = next(iter(groups.values()))[0].result.split
    grid[0, 0].set_ylabel(f"{split} accuracy")
    grid[1, 0].set_ylabel(f"{split} loss (nats)")
    finish(grid[0], grid[1])
    figure.legend(handles=legend_lines(looks), loc="outside lower center", ncols=len(looks))
    return figure
