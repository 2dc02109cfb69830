"""One style for every figure: sizes, colours, scales, and how files are written so that redrawing changes no byte."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from stages.common.files import whole_file

WIDTH = 9.2  # inches: about the width of a page on a code host at 100 pixels an inch
STYLE = {
    "figure.dpi": 130,
    "savefig.dpi": 130,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
}

# Okabe and Ito's colours without yellow and black, and two of Paul Tol's: told apart with any colour vision, on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933")
PUBLISHED, REPRODUCED, CORRECTED = "#555555", "#d55e00", "#0072b2"
LOSS, SCORE = "#d55e00", "#0072b2"

# Tick labels, the ones wanted most first; a further group is drawn on where the ones before it leave an axis bare.
ACCURACIES = (
    (
        *(0.1, 0.5, 0.7, 0.8, 0.9, 0.3, 0.6, 0.85, 0.95, 0.75, 0.99),
        *(0.82, 0.84, 0.86, 0.88, 0.92, 0.94, 0.96, 0.98, 0.4, 0.65, 0.2),
        *(percent / 100 for percent in range(71, 99, 2)),
        *(percent / 1000 for percent in range(805, 995, 10)),
    ),
    (0.45, 0.35, 0.55, 0.25, 0.15, 0.05),
    tuple(percent / 100 for percent in range(22, 70, 2)),
    tuple(percent / 100 for percent in range(21, 71, 2)),
    tuple(thousandth / 1000 for thousandth in range(300, 1000, 2)),
)
LOSSES = (
    (1, 10, 0.1, 0.5, 5, 0.2, 2, 20, 0.3, 3, 30, 0.4, 0.7, 0.15, 1.5, 0.25, 0.35, 0.6, 0.45, 0.8, 50, 100, 0.9),
    (1.6, 1.8, 1.4, 1.2, 2.2, 1.7, 1.9, 1.3, 2.5, 1.1, 1.55, 1.45),
)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own matplotlib settings are."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of its own, drawn without a window system."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that holds the picture alone: no date, no software version."""
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def ordered_looks(names: Sequence[str]) -> dict[str, dict]:
    """Dark blue to yellow in the order given; neighbours, whose colours are near, differ in being solid or dashed."""
    colours = colormaps["plasma"](np.linspace(0, 0.9, len(names)))
    lines = ("-", (0, (4, 1.5)))
    return {name: {"color": colours[place], "linestyle": lines[place % 2]} for place, name in enumerate(names)}


def distinct_looks(names: Sequence[str]) -> dict[str, dict]:
    """A colour each; from the ninth on, darker ones and other dashes, then the palette again as broken lines."""
    looks = [{"color": colour, "linestyle": "-"} for colour in PALETTE]
    looks += [{"color": "black", "linestyle": "-"}, {"color": "#7f7f7f", "linestyle": "--"}]
    looks += [{"color": "#5b2a86", "linestyle": ":"}]
    looks += [{"color": colour, "linestyle": line} for line in ("--", ":") for colour in PALETTE]
    return {name: looks[place % len(looks)] for place, name in enumerate(names)}


def accuracy_axis(axes: Axes, which: str = "y") -> None:
    """Spread accuracies by the logarithm of the error: 0.88 and 0.90 are told apart, and 0.1 still fits."""
    top = 1 - 1e-4

    def forward(accuracy: np.ndarray) -> np.ndarray:
        return -np.log(1 - np.minimum(accuracy, top))

    def inverse(spread: np.ndarray) -> np.ndarray:
        return 1 - np.exp(-np.asarray(spread))

    set_scale = axes.set_yscale if which == "y" else axes.set_xscale
    set_scale("function", functions=(forward, inverse))
    plain_ticks(axes, which, ACCURACIES, forward)


def loss_axis(axes: Axes) -> None:
    """A logarithmic axis with plain numbers: losses run from a third to thirty."""
    axes.set_yscale("log")
    plain_ticks(axes, "y", LOSSES, np.log)


def plain_ticks(axes: Axes, which: str, groups: Sequence[Sequence[float]], scale: Callable) -> None:
    """Call after drawing. Label what the axis shows of the values, but none that would crowd one named before it."""
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    axis, apart, few = (axes.yaxis, 0.085, 5) if which == "y" else (axes.xaxis, 0.2, 3)
    nearest = apart * (scale(high) - scale(low))
    chosen: list[float] = []
    for group in groups:
        for value in group if len(chosen) < few else ():
            if low <= value <= high and all(abs(scale(value) - scale(other)) >= nearest for other in chosen):
                chosen.append(value)
    axis.set_major_locator(FixedLocator(sorted(chosen)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
