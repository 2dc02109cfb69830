"""Figures of a final model: its training, confusion matrix, calibration, most confident errors, first layer."""

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from stages.reporting import style
from stages.reporting.curves import set_scales
from stages.reporting.style import SMALL, new_figure
from stages.verdicts.reading import ModelResult
from stages.verdicts.text import number

ERROR_COLUMNS, WEIGHT_COLUMNS = 5, 8  # pictures in a row


def draw_history(model: ModelResult) -> Figure:
    """Accuracy and loss by epoch, on training and on scored images, and the epoch of the lowest loss."""
    figure = new_figure(2.7)
    accuracy, loss = figure.subplots(1, 2)
    history = model.history
    for axes, quantity in ((accuracy, "accuracy"), (loss, "loss")):
        if f"train_{quantity}" in history:  # results of the first edition have no training accuracy
            line = {"color": style.TRAINING, "linestyle": "--", "label": "training"}
            axes.plot(history["epoch"], history[f"train_{quantity}"], **line)
        axes.plot(history["epoch"], history[quantity], color=style.SCORED, label=model.split)
    set_scales([accuracy], [loss])
    best = model.metrics.get("best_epoch", 0)
    for axes in (accuracy, loss):
        axes.set_xlabel("epoch")
        if best:
            axes.axvline(best, color=style.NOTE, linewidth=1, linestyle=":", label=f"lowest loss, epoch {best}")
    accuracy.set_title("accuracy")
    loss.set_title("cross-entropy loss (nats)")
    loss.legend(loc="upper right", frameon=True, framealpha=1, edgecolor="none")
    return figure


def draw_confusion(confusion: pd.DataFrame) -> Figure:
    """Counts, one row per true class; coloured by the square root, so that the few errors are visible too."""
    counts = confusion.to_numpy()
    figure = new_figure(5.6, width=6.4)
    axes = figure.subplots()
    axes.grid(False)
    norm = PowerNorm(0.5, vmin=0, vmax=max(counts.max(), 1))
    image = axes.imshow(counts, cmap=style.COUNTS_MAP, norm=norm)
    for (row, column), count in np.ndenumerate(counts):
        colour = style.PAPER if norm(count) > 0.6 else style.INK if count else style.FAINT
        axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=SMALL)
    names = list(confusion.index)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    figure.colorbar(image, shrink=0.8, label="test images (colour by square root)")
    return figure


def draw_calibration(bins: pd.DataFrame) -> Figure:
    """The reliability diagram, accuracy by confidence of each bin; and how many images each bin has."""
    filled = bins[bins["count"] > 0]
    figure = new_figure(2.9)
    reliability, counts = figure.subplots(1, 2)
    reliability.plot([0, 1], [0, 1], color=style.PUBLISHED, linewidth=1, linestyle="--", label="perfect calibration")
    gap = {"color": style.CONFIDENCE, "linewidth": 1.5, "label": "difference"}
    reliability.vlines(filled["confidence"], filled["accuracy"], filled["confidence"], **gap)
    reliability.plot(filled["confidence"], filled["accuracy"], color=style.SCORED)
    sizes = 10 + 70 * filled["count"] / filled["count"].max()
    points = {"zorder": 3, "label": "test images of a bin"}
    reliability.scatter(filled["confidence"], filled["accuracy"], sizes, style.SCORED, **points)
    reliability.set_aspect("equal")
    reliability.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="mean confidence", ylabel="accuracy")
    reliability.set_title("accuracy by confidence")
    reliability.legend(loc="lower right")
    bars = {"align": "edge", "color": style.SCORED, "alpha": 0.55, "edgecolor": style.PAPER}
    counts.bar(bins["low"], bins["count"], bins["high"] - bins["low"], **bars)
    shares = {"mean confidence": ("confidence", style.CONFIDENCE, "-"), "accuracy": ("accuracy", style.INK, "--")}
    for name, (column, colour, line) in shares.items():
        mean = np.average(filled[column], weights=filled["count"])
        counts.axvline(mean, color=colour, linestyle=line, label=f"{name} {mean:.3f}")
    counts.set(xlim=(0, 1.02), xlabel="confidence", ylabel="test images")
    counts.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    counts.set_title("number of images")
    counts.legend(loc="upper left")
    return figure


def draw_errors(errors: pd.DataFrame, pictures: np.ndarray) -> Figure:
    """The most confident errors with their pictures, uint8 (n, height, width, channels)."""
    rows = -(-len(errors) // ERROR_COLUMNS)
    figure = new_figure(1.62 * rows)
    grid = figure.subplots(rows, ERROR_COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture, error in zip(grid.flat, pictures, errors.itertuples(), strict=False):
        axes.imshow(picture.squeeze(), cmap=style.GREY_MAP, vmin=0, vmax=255)
        text = f"{error.label}\n→ {error.predicted}\n{number(100 * error.confidence, 1)} %"
        axes.set_title(text, fontsize=SMALL, fontweight="normal", pad=3)
    return figure


def draw_weights(weights: np.ndarray) -> Figure:
    """First-layer weights (n, height, width, channels) as pictures on one scale around zero; three channels in
    colour, where grey is 0.
    """
    rows = -(-len(weights) // WEIGHT_COLUMNS)
    coloured = weights.shape[-1] == 3
    figure = new_figure((0.9 if coloured else 0.76) * rows)
    grid = figure.subplots(rows, WEIGHT_COLUMNS, squeeze=False)
    limit = max(float(np.quantile(np.abs(weights), 0.998)), 1e-6)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture in zip(grid.flat, weights, strict=False):
        if coloured:
            axes.imshow(np.clip(0.5 + picture / (2 * limit), 0, 1))
        else:
            image = axes.imshow(picture.mean(axis=-1), cmap=style.WEIGHTS_MAP, vmin=-limit, vmax=limit)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    if not coloured:
        figure.colorbar(image, ax=grid, shrink=0.5, label="weight", extend="both")
    return figure
