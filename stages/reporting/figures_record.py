"""Figures of a model of record: its training, its confusions, its surest mistakes."""

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from stages.reporting.colours import COUNTS_MAP, FAINT, GREY_MAP, INK, NOTE, PAPER, SCORED, TRAINING
from stages.reporting.lines import finish
from stages.reporting.record import Record, Scores
from stages.reporting.style import SMALL, new_figure
from stages.reporting.tables import number


def draw_history(record: Scores) -> Figure:
    """Accuracy and both losses by epoch, and the epoch of the lowest loss."""
    figure = new_figure(2.7)
    accuracy, loss = figure.subplots(1, 2)
    epochs = record.history["epoch"]
    accuracy.plot(epochs, record.history["accuracy"], color=SCORED)
    loss.plot(epochs, record.history["train_loss"], color=TRAINING, linestyle="--", label="training, as met")
    loss.plot(epochs, record.history["loss"], color=SCORED, label=record.split)
    finish([accuracy], [loss])
    best = record.metrics.get("best_epoch", 0)
    for axes in (accuracy, loss):
        axes.set_xlabel("epoch")
        if best:
            axes.axvline(best, color=NOTE, linewidth=1, linestyle=":", label=f"lowest loss, epoch {best}")
    accuracy.set_title(f"{record.split} accuracy")
    loss.set_title("cross-entropy loss (nats)")
    loss.legend(loc="upper right", frameon=True, framealpha=1, edgecolor="none")
    return figure


def draw_confusion(confusion: pd.DataFrame) -> Figure:
    """Counts, a row a true class. The square root colours them, so that mistakes show beside the many hits."""
    counts = confusion.to_numpy()
    figure = new_figure(5.6, width=6.4)
    axes = figure.subplots()
    axes.grid(False)
    norm = PowerNorm(0.5, vmin=0, vmax=max(counts.max(), 1))
    image = axes.imshow(counts, cmap=COUNTS_MAP, norm=norm)
    for (row, column), count in np.ndenumerate(counts):
        colour = PAPER if norm(count) > 0.6 else INK if count else FAINT
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


def draw_mistakes(record: Record) -> Figure:
    """The mistakes made with the greatest confidence, the surest first."""
    columns = 5
    rows = -(-len(record.mistakes) // columns)
    figure = new_figure(1.62 * rows, width=7.2)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture, mistake in zip(grid.flat, record.pictures, record.mistakes.itertuples(), strict=False):
        axes.imshow(picture.squeeze(), cmap=GREY_MAP, vmin=0, vmax=255)
        confidence = number(100 * mistake.confidence, 1)
        axes.set_title(
            f"{mistake.label}\n→ {mistake.predicted}\n{confidence} %", fontsize=SMALL, fontweight="normal", pad=3
        )
    return figure
