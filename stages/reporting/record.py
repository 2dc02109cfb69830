"""The files of a model of record as the report needs them: history, figures of merit, mistakes, first-layer weights."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.datasets import read_test
from stages.reporting.first_layer import count_weights, largest, read_first_layer
from stages.reporting.inputs import damaged, read_record, read_table
from stages.reporting.naming import DATA_SETS
from stages.reporting.tables import NOTHING, number

UNITS = 64  # as many of the first layer's units are shown


@dataclass(frozen=True)
class Scores:
    """How a model was trained on `dataset` and what it reaches: all that is told of a model in brief.

    `history`: epoch, train_loss, loss, accuracy, the last two on `split`.
    """

    dataset: str
    split: str
    metrics: dict[str, float]
    history: pd.DataFrame


@dataclass(frozen=True)
class Record(Scores):
    """A model of record: its scores and, of the test images, what it makes of them.

    `confusion`: counts, row = true class; `calibration`: low, high, count, confidence, accuracy of each bin;
    `mistakes`: index, label, predicted, confidence, and `pictures` of them, uint8 (n, height, width, channels);
    `weights`: those of the first layer's `units` with the largest norm, (n, height, width, channels);
    `parameters`: how many numbers were trained in all.
    """

    confusion: pd.DataFrame
    classes: pd.DataFrame
    calibration: pd.DataFrame
    mistakes: pd.DataFrame
    pictures: np.ndarray
    weights: np.ndarray
    units: int
    parameters: int


def read_scores(reports: Path, dataset: str, protocol: str) -> Scores:
    """Read `reports`/history.csv and metrics.json."""
    split = "validation" if protocol == "validation" else "test"
    scored = {f"{split}_loss": "loss", f"{split}_accuracy": "accuracy"}
    history = read_table(reports / "history.csv", ("epoch", "train_loss", *scored)).rename(columns=scored)
    metrics = read_record(reports / "metrics.json")
    if not isinstance(metrics, dict):
        raise damaged(reports / "metrics.json")
    return Scores(dataset, split, metrics, history)


def read_model(reports: Path, model: Path, prepared: Path, protocol: str) -> Record:
    """Read the files in `reports`, the network at `model`, and the test images at `prepared`."""
    scores = read_scores(reports, prepared.stem, protocol)
    pairs = read_table(reports / "confusion.csv", ("label", "predicted", "count"), text=("label", "predicted"))
    order = list(dict.fromkeys(pairs["label"]))
    mistakes = read_table(reports / "mistakes.csv", ("index", "label", "predicted", "confidence"), empty=True)
    images = read_test(prepared).images
    weights = read_first_layer(model, images.shape[1:])
    return Record(
        **vars(scores),
        confusion=pairs.pivot(index="label", columns="predicted", values="count").loc[order, order],
        classes=read_table(reports / "classes.csv", ("class", "precision", "recall", "f1", "support")),
        calibration=read_table(reports / "calibration.csv", ("low", "high", "count", "confidence", "accuracy")),
        mistakes=mistakes,
        pictures=images[mistakes["index"].to_numpy(int)],
        weights=largest(weights, UNITS),
        units=len(weights),
        parameters=count_weights(model),
    )


def class_table(record: Record) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class and, below them, their means; ready to print."""
    figures = ["precision", "recall", "f1"]
    rows = [
        {"class": row["class"], **{name: number(row[name]) for name in figures}, "support": f"{row['support']:,}"}
        for _, row in record.classes.iterrows()
    ]
    means = {name: number(record.classes[name].mean()) for name in figures}
    rows.append({"class": "mean", **means, "support": f"{record.classes['support'].sum():,}"})
    return pd.DataFrame(rows).rename(columns={"f1": "F1"})


def scores_table(models: dict[str, Scores]) -> pd.DataFrame:
    """A row a model, by its title: epochs and figures of merit, ready to print. What a diverged one lacks is a dash."""
    rows = []
    for title, scores in models.items():
        metrics = scores.metrics
        rows.append(
            {
                "model": title,
                "data set": DATA_SETS[scores.dataset],
                "epochs": str(len(scores.history)),
                "lowest loss in epoch": str(metrics.get("best_epoch") or NOTHING),
                "validation accuracy": number(metrics.get("validation_accuracy")),
                "test accuracy": number(metrics.get("test_accuracy")),
                "test loss": number(metrics.get("test_loss"), 3),
                "top-2 test accuracy": number(metrics.get("test_top2_accuracy")),
                "calibration error": number(metrics.get("test_calibration_error")),
            }
        )
    return pd.DataFrame(rows)
