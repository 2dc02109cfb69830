"""Figures of the studies beyond the published ones: learning curves, and where every seed ends."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.reporting.end_labels import have_room, name_ends
from stages.reporting.lines import draw_variant, finish
from stages.reporting.looks import looks_of
from stages.reporting.naming import label
from stages.reporting.scales import accuracy_axis
from stages.reporting.studies import Curves, Result
from stages.reporting.style import THIN, new_figure


def draw_study(result: Result) -> Figure:
    """Accuracy and loss by epoch; at the right each variant's seeds, whose labels are the legend of all three."""
    curves = result.select({label(variant): variant for variant in result.variants})
    looks = looks_of(result.name, curves.variants)
    height = max(2.6, 1.3 + 0.26 * len(looks))
    figure = new_figure(height)
    accuracy, loss, ends = figure.subplots(1, 3, width_ratios=(1, 1, 0.8))
    for variant, look in looks.items():
        draw_variant(accuracy, curves, variant, "accuracy", look, len(looks))
        draw_variant(loss, curves, variant, "loss", look, len(looks))
    finish([accuracy], [loss])
    if have_room(looks):
        name_ends(accuracy, curves, looks, "accuracy", height - 0.7)
        name_ends(loss, curves, looks, "loss", height - 0.7)
    for axes in (accuracy, loss):
        axes.set_xlabel("epoch")
    accuracy.set_title(f"{result.split} accuracy")
    loss.set_title(f"{result.split} loss (nats)")
    draw_ends_by_variant(ends, curves, looks)
    ends.set_title("final, each seed")
    ends.set_xlabel(f"{result.split} accuracy")
    return figure


def draw_ends_by_variant(axes: Axes, curves: Curves, looks: Mapping[str, dict]) -> None:
    """A row a variant, on a line like its curves: the final accuracy of every seed, and a bar at their mean."""
    for place, (variant, look) in enumerate(looks.items()):
        values = curves.runs_of(variant)["final_accuracy"]
        axes.axhline(place, color=look["color"], linestyle=look["linestyle"], linewidth=THIN, alpha=0.5)
        axes.plot([values.mean()], [place], "|", color=look["color"], markersize=12, markeredgewidth=2)
        axes.plot(values, [place] * len(values), "o", color=look["color"], markersize=3.5, alpha=0.75)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.1)
    accuracy_axis(axes, "x")
    axes.set_yticks(range(len(looks)), list(looks))
    for tick, look in zip(axes.get_yticklabels(), looks.values(), strict=True):
        tick.set_color(look["color"])
        tick.set_fontweight("bold")
    axes.set_ylim(len(looks) - 0.5, -0.5)
