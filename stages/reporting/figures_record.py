"""Figures of a model of record: its training, its confusions, its surest mistakes."""

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from stages.reporting.lines import finish
from stages.reporting.record import Record, Scores
from stages.reporting.style import LOSS, SCORE, new_figure
from stages.reporting.tables import number


def draw_history(record: Scores) -> Figure:
    """Accuracy and both losses by epoch, and the epoch of the lowest loss."""
    figure = new_figure(3.3)
    accuracy, loss = figure.subplots(1, 2)
    epochs = record.history["epoch"]
    accuracy.plot(epochs, record.history["accuracy"], color=SCORE)
    loss.plot(epochs, record.history["train_loss"], color=LOSS, linestyle="--", label="training, as met")
    loss.plot(epochs, record.history["loss"], color=SCORE, label=record.split)
    finish([accuracy], [loss])
    best = record.metrics.get("best_epoch", 0)
    for axes in (accuracy, loss):
        axes.set_xlabel("epoch")
        if best:
            axes.axvline(best, color="#777777", linewidth=1, linestyle=":", label=f"lowest loss, epoch {best}")
    accuracy.set_title(f"{record.split} accuracy")
    loss.set_title("cross-entropy loss (nats)")
    loss.legend(loc="upper right", frameon=True, framealpha=1, edgecolor="none")
    return figure


def draw_confusion(confusion: pd.DataFrame) -> Figure:
    """Counts, a row a true class. The square root colours them, so that mistakes show beside the many hits."""
    counts = confusion.to_numpy()
    figure = new_figure(6.4, width=7.4)
    axes = figure.subplots()
    axes.grid(False)
    norm = PowerNorm(0.5, vmin=0, vmax=max(counts.max(), 1))
    image = axes.imshow(counts, cmap="Blues", norm=norm)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if norm(count) > 0.6 else "black" if count else "#aaaaaa"
        axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
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
    figure = new_figure(1.85 * rows, width=8.2)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture, mistake in zip(grid.flat, record.pictures, record.mistakes.itertuples(), strict=False):
        axes.imshow(picture.squeeze(), cmap="gray_r", vmin=0, vmax=255)
        confidence = number(100 * mistake.confidence, 1)
        axes.set_title(
            f"{mistake.label}\n→ {mistake.predicted}\n{confidence} %", fontsize=8, fontweight="normal", pad=3
        )
    return figure
