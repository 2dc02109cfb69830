"""A study of the published network with one thing changed: its curves over those of the same trainings as published."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from stages.reporting.colours import PUBLISHED
from stages.reporting.counterparts import Arm
from stages.reporting.lines import draw_variant, finish, legend_lines
from stages.reporting.looks import SOLID, looks_of
from stages.reporting.naming import AS_PUBLISHED
from stages.reporting.style import new_figure


def draw_counterparts(groups: Mapping[str, list[Arm]]) -> Figure:
    """A column a group: the training as published in grey, the changed ones in colour."""
    labels = list(dict.fromkeys(arm.label for group in groups.values() for arm in group))
    changed = looks_of("", [label for label in labels if label != AS_PUBLISHED])
    looks = {AS_PUBLISHED: {"color": PUBLISHED, "linestyle": SOLID}, **changed}
    figure = new_figure(4.2)
    grid = figure.subplots(2, len(groups), sharex=True, sharey="row", squeeze=False)
    for column, (title, group) in zip(grid.T, groups.items(), strict=True):
        for arm in group:
            for axes, quantity in zip(column, ("accuracy", "loss"), strict=True):
                draw_variant(axes, arm.result, arm.variant, quantity, looks[arm.label])
        column[0].set_title(title)
        column[1].set_xlabel("epoch")
    split = next(iter(groups.values()))[0].result.split
    grid[0, 0].set_ylabel(f"{split} accuracy")
    grid[1, 0].set_ylabel(f"{split} loss (nats)")
    finish(grid[0], grid[1])
    figure.legend(handles=legend_lines(looks), loc="outside lower center", ncols=len(looks))
    return figure
