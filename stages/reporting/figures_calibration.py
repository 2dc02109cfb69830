"""Whether a network is right as often as it is sure: the reliability diagram."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from stages.reporting.colours import CONFIDENCE, INK, PAPER, PUBLISHED, SCORED
from stages.reporting.record import Record
from stages.reporting.style import new_figure


def draw_calibration(record: Record) -> Figure:
    """Accuracy by confidence, bin by bin, beside the diagonal of perfect calibration; and how many images a bin has."""
    bins = record.calibration
    filled = bins[bins["count"] > 0]
    figure = new_figure(2.9)
    reliability, counts = figure.subplots(1, 2)
    reliability.plot([0, 1], [0, 1], color=PUBLISHED, linewidth=1, linestyle="--", label="as sure as right")
    reliability.vlines(
        filled["confidence"],
        filled["accuracy"],
        filled["confidence"],
        color=CONFIDENCE,
        linewidth=1.5,
        label="how far they differ",
    )
    reliability.plot(filled["confidence"], filled["accuracy"], color=SCORED)
    sizes = 10 + 70 * filled["count"] / filled["count"].max()
    reliability.scatter(filled["confidence"], filled["accuracy"], sizes, SCORED, zorder=3, label="test images of a bin")
    reliability.set_aspect("equal")
    reliability.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="mean confidence", ylabel="accuracy")
    reliability.set_title("accuracy by confidence")
    reliability.legend(loc="lower right")
    width = bins["high"] - bins["low"]
    counts.bar(bins["low"], bins["count"], width, align="edge", color=SCORED, alpha=0.55, edgecolor=PAPER)
    shares = {"mean confidence": ("confidence", CONFIDENCE, "-"), "accuracy": ("accuracy", INK, "--")}
    for label, (column, colour, line) in shares.items():
        mean = np.average(filled[column], weights=filled["count"])
        counts.axvline(mean, color=colour, linestyle=line, label=f"{label} {mean:.3f}")
    counts.set(xlim=(0, 1.02), xlabel="confidence", ylabel="test images")
    counts.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    counts.set_title("how many images")
    counts.legend(loc="upper left")
    return figure
