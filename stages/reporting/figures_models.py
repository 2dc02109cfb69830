"""Figures of a final model: its training, confusion matrix, calibration, most confident errors, first layer."""

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stages.reporting import style
from stages.reporting.style import SMALL, WIDTH, new_figure
from stages.verdicts.reading import ModelResult
from stages.verdicts.statistics import of_share
from stages.verdicts.text import number

ERROR_COLUMNS, WEIGHT_COLUMNS = 5, 8  # pictures in a row


def draw_history(model: ModelResult) -> Figure:
    """Accuracy and loss by epoch, on training and on scored images, and the epoch of the lowest loss."""
    figure = new_figure(2.2)
    best, history = model.metrics.get("best_epoch", 0), model.history
    for axes, quantity in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        lines = {"training": (f"train_{quantity}", style.TRAINING), model.split: (quantity, style.FIXED)}
        ends = {name: history[column].iloc[-1] for name, (column, _) in lines.items()}
        for name, (column, colour) in lines.items():
            axes.plot(history["epoch"], history[column], color=colour)
            higher = ends[name] == max(ends.values())
            beside = {"xytext": (0, 9 if higher else -9), "textcoords": "offset points", "ha": "right"}
            end = (history["epoch"].iloc[-1], ends[name])
            axes.annotate(name, end, va="bottom" if higher else "top", color=colour, fontsize=SMALL, **beside)
        if best:
            axes.axvline(best, color=style.FAINT, linewidth=1, linestyle=":")
        axes.margins(y=0.2)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("epoch" + (" (dotted: lowest loss)" if best and quantity == "loss" else ""))
        axes.set_title("accuracy" if quantity == "accuracy" else "loss (nats)")
    return figure


def draw_confusion(confusion: pd.DataFrame) -> Figure:
    """Counts, one row per true class; coloured by the square root, so that the few errors are visible too."""
    counts, names = confusion.to_numpy(), list(confusion.index)
    figure = new_figure(4.6)
    axes = figure.subplots()
    axes.grid(False)
    norm = PowerNorm(0.5, vmin=0, vmax=max(counts.max(), 1))
    axes.pcolormesh(counts, cmap=style.COUNTS_MAP, norm=norm)
    for (row, column), count in np.ndenumerate(counts):
        colour = style.ON_DARK if norm(count) > 0.6 else style.ON_LIGHT
        axes.text(column + 0.5, row + 0.5, f"{count}", ha="center", va="center", color=colour, fontsize=SMALL)
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(names)) + 0.5, names)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure


def draw_calibration(bins: pd.DataFrame) -> Figure:
    """The reliability diagram: accuracy by confidence with Wilson's intervals; below, how many images each bin has."""
    filled = bins[bins["count"] > 0]
    hits = (filled["accuracy"] * filled["count"]).round().astype(int)
    ends = np.array([of_share(hit, count) for hit, count in zip(hits, filled["count"], strict=True)])
    figure = new_figure(4.2)
    reliability, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    reliability.plot([0, 1], [0, 1], color=style.NOTE, linewidth=1, linestyle="--")
    reliability.text(0.98, 0.04, "dashed: perfect calibration", color=style.NOTE, fontsize=SMALL, ha="right")
    reliability.vlines(filled["confidence"], ends[:, 0], ends[:, 1], color=style.FIXED, linewidth=1.2)
    reliability.plot(filled["confidence"], filled["accuracy"], "o", color=style.FIXED, clip_on=False)
    reliability.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    counts.bar(bins["low"], bins["count"], bins["high"] - bins["low"], align="edge", color=style.FAINT, linewidth=0)
    counts.set(xlabel="confidence", ylabel="images")
    counts.yaxis.set_major_locator(MaxNLocator(3))
    counts.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return figure


def draw_errors(errors: pd.DataFrame, pictures: np.ndarray) -> Figure:
    """The most confident errors with their pictures, uint8 (n, height, width, channels)."""
    rows = -(-len(errors) // ERROR_COLUMNS)
    figure = new_figure(1.36 * rows)
    axes = figure.subplots()
    for place, (picture, error) in enumerate(zip(pictures, errors.itertuples(), strict=True)):
        top, left = 1.62 * (place // ERROR_COLUMNS), 1.05 * (place % ERROR_COLUMNS)
        axes.imshow(picture.squeeze(), cmap=style.GREY_MAP, vmin=0, vmax=255, extent=(left, left + 1, top + 1, top))
        text = f"{error.label}\n→ {error.predicted}\n{number(100 * error.confidence, 1)} %"
        axes.text(left, top - 0.03, text, fontsize=SMALL, va="bottom", linespacing=1.05)
    axes.set(xlim=(0, 1.05 * ERROR_COLUMNS - 0.05), ylim=(1.62 * rows - 0.6, -0.58))
    axes.axis("off")
    return figure


def draw_weights(weights: np.ndarray) -> Figure:
    """First-layer weights (n, height, width, channels) as pictures on one scale around zero; three channels in
    colour, where grey is 0.
    """
    count, height, width, channels = weights.shape
    rows = -(-count // WEIGHT_COLUMNS)
    limit = max(float(np.quantile(np.abs(weights), 0.998)), 1e-6)
    mosaic = np.full((rows * (height + 2), WEIGHT_COLUMNS * (width + 2), channels), np.nan)  # pictures, 2 pixels apart
    for place, picture in enumerate(weights):
        top, left = place // WEIGHT_COLUMNS * (height + 2), place % WEIGHT_COLUMNS * (width + 2)
        mosaic[top : top + height, left : left + width] = picture
    figure = new_figure(WIDTH * mosaic.shape[0] / mosaic.shape[1])
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    if channels == 3:
        opaque = np.isfinite(mosaic[..., :1])
        axes.imshow(np.concatenate([np.clip(0.5 + np.nan_to_num(mosaic) / (2 * limit), 0, 1), opaque], axis=-1))
    else:
        axes.imshow(mosaic.mean(axis=-1), cmap=style.WEIGHTS_MAP, vmin=-limit, vmax=limit)
    return figure
