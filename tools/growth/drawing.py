"""docs/growth.png from docs/growth.csv: time and memory over each of the four axes, on logarithmic scales."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from stages.reporting.colours import INK, NAMED, NOTE
from stages.reporting.style import SMALL, house_style, new_figure, save
from tools.growth.plan import NETWORKS
from tools.growth.rows import SIMULATED, Row
from tools.growth.simulation import STUDY, WALL, WORKERS

DPI = 150
WIDTH, HEIGHT = 10.0, 5.2  # inches
AXES = {
    "images": "training images",
    "hidden units": "hidden units",
    "seeds": "seeds of each study, 2 jobs",
    "jobs": "jobs, on as many cores",
}
# What the time is of.
TITLES = {"images": "An epoch", "hidden units": "An epoch", "seeds": "The whole study", "jobs": "The whole study"}
QUANTITIES = {"time": "time", "memory": "peak memory"}
NUMPY, DEEP, TORCH = NAMED[3], NAMED[1], NAMED[0]
COLOURS = {
    NETWORKS[0].network: NUMPY,
    NETWORKS[1].network: DEEP,
    NETWORKS[2].network: TORCH,
    "NumPy 784-H-10": NUMPY,
    "PyTorch 3072-H-10": TORCH,
    WORKERS["tune"]: NUMPY,
    WORKERS["ablations"]: TORCH,
    STUDY: INK,
    WALL: NOTE,
}
# In a legend: shorter than in the table.
LABELS = {
    WALL: "wall: longest run of each study,\nand the models of record",
    NETWORKS[1].network: "NumPy 784-512-256-\n128-64-10",
}
MARKERS = {NUMPY: "o", DEEP: "s", TORCH: "^", INK: "D", NOTE: ""}
# A panel's height beyond its lines, for each line of its legend and for its edges, as a share of the whole.
ROOM_LINE, ROOM_EDGES = 0.075, 0.05
GIBI, HOUR = 1024, 3600  # MiB in a GiB, seconds in an hour
X_TICKS = {
    "images": (5_000, 10_000, 20_000, 50_000, 100_000),
    "hidden units": (64, 256, 1024, 4096),
    "seeds": (1, 2, 3, 5, 10),
    "jobs": (1, 2, 4, 8, 16, 32, 64, 128),
}
# Seconds, and MiB, that a person would count in.
Y_TICKS = {
    "time": (
        0.01,
        0.03,
        0.1,
        0.3,
        1,
        3,
        10,
        30,
        60,
        180,
        600,
        1200,
        1800,
        *(hours * HOUR for hours in (1, 2, 4, 8, 16)),
    ),
    "memory": tuple(64 * 2**power for power in range(14)),
}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the eight panels."""
    with house_style(), matplotlib.rc_context({"savefig.dpi": DPI}):
        figure = new_figure(HEIGHT, WIDTH)
        panels = figure.subplots(len(QUANTITIES), len(AXES), squeeze=False)
        for line, quantity in zip(panels, QUANTITIES, strict=True):
            for axes, axis in zip(line, AXES, strict=True):
                panel(axes, [row for row in rows if row.axis == axis and row.quantity == quantity])
                if quantity == "memory":
                    memory_wall(axes, rows)
                    axes.set_xlabel(AXES[axis])
                else:
                    axes.set_title(TITLES[axis])
                ticks(axes, axis, quantity)
                finish(axes, legend=quantity == "time" or TITLES[axis] != "An epoch")
            line[0].set_ylabel(QUANTITIES[quantity])
        figure.legend(handles=styles(), loc="outside lower center", ncols=3)
        save(figure, path)


def panel(axes: Axes, rows: Sequence[Row]) -> None:
    """One line a series and a way of coming by it."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for series in dict.fromkeys(row.series for row in rows):
        for simulated in (False, True):
            points = sorted(
                (row.value, row.amount) for row in rows if row.series == series and (row.how == SIMULATED) is simulated
            )
            if points:
                line(axes, points, series, simulated)


def ticks(axes: Axes, axis: str, quantity: str) -> None:
    """Marks at numbers that a person would count in, beside the lines and not beside the legend."""
    axes.set_xticks(X_TICKS[axis], [short(value) for value in X_TICKS[axis]])
    low, high = axes.get_ylim()
    shown = [value for value in Y_TICKS[quantity] if low <= value <= high]
    axes.set_yticks(shown, [amount(value, quantity) for value in shown])
    axes.set_ylim(low, high)
    axes.minorticks_off()


def line(axes: Axes, points: Sequence[tuple[float, float]], series: str, simulated: bool) -> None:
    """Measured: solid, with markers. Simulated: dashed. The wall: dotted."""
    colour = COLOURS.get(series, INK)
    style = ":" if series == WALL else "--" if simulated else "-"
    shown = {item.get_label() for item in axes.get_lines()}
    label = LABELS.get(series, series)
    axes.plot(
        *zip(*points, strict=True),
        color=colour,
        linestyle=style,
        linewidth=1.6,
        marker="" if simulated else MARKERS.get(colour, "o"),
        label="_" + label if label in shown else label,
    )


def memory_wall(axes: Axes, rows: Sequence[Row]) -> None:
    """A line where this machine's memory ends, in the panels that come near it."""
    highest = axes.dataLim.y1
    for row in rows:
        if row.axis == "machine" and row.quantity == "memory" and highest > row.amount / 4:
            axes.axhline(row.amount, color=NOTE, linestyle=":", linewidth=1.6, label="wall: this machine's memory")


def finish(axes: Axes, legend: bool) -> None:
    """Put the legend, if any, above the lines: the upper limit is raised for it."""
    _, labels = axes.get_legend_handles_labels()
    if not (legend and labels):
        return
    room = ROOM_EDGES + ROOM_LINE * sum(1 + label.count("\n") for label in labels)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** (room / (1 - room)))
    axes.legend(loc="upper left", fontsize=SMALL, handlelength=1.8, borderpad=0.1, labelspacing=0.25)


def styles() -> list[Line2D]:
    """What the three kinds of line mean."""
    return [
        Line2D([], [], color=INK, marker="o", label="measured"),
        Line2D([], [], color=INK, linestyle="--", label="simulated from measured epochs"),
        Line2D([], [], color=NOTE, linestyle=":", label="wall"),
    ]


def short(value: float) -> str:
    """A count, thousands as k."""
    return f"{value / 1000:.3g}k" if value >= 5_000 else f"{value:g}"


def amount(value: float, quantity: str) -> str:
    """A time or an amount of memory in the unit that suits it; time in seconds, memory in MiB."""
    if quantity == "memory":
        return f"{value / GIBI:g} GiB" if value >= GIBI else f"{value:g} MiB"
    if value >= HOUR:
        return f"{value / HOUR:.3g} h"
    return f"{value / 60:g} min" if value >= 60 else f"{value:g} s"
