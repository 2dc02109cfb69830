"""The model of record's files as the report needs them: history, figures of merit, mistakes, first-layer weights."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common.datasets import read_split
from stages.reporting.inputs import damaged, missing, read_record, read_table
from stages.reporting.tables import number

UNITS = 64  # as many of the first layer's units are shown


@dataclass(frozen=True)
class Record:
    """`history`: epoch, train_loss, loss, accuracy, the last two on `split`; `confusion`: counts, row = true class;

    `mistakes`: index, label, predicted, confidence, and `pictures` of them, uint8 (n, height, width, channels);
    `weights`: the first layer's units of largest norm, (n, height, width, channels).
    """

    split: str
    metrics: dict[str, float]
    history: pd.DataFrame
    confusion: pd.DataFrame
    classes: pd.DataFrame
    mistakes: pd.DataFrame
    pictures: np.ndarray
    weights: np.ndarray
    units: int


def read_model(reports: Path, model: Path, prepared: Path, protocol: str) -> Record:
    """Read `reports`/*.csv and metrics.json, the network at `model`, and the test images at `prepared`."""
    split = "validation" if protocol == "validation" else "test"
    scored = {f"{split}_loss": "loss", f"{split}_accuracy": "accuracy"}
    pairs = read_table(reports / "confusion.csv", ("label", "predicted", "count"), text=("label", "predicted"))
    order = list(dict.fromkeys(pairs["label"]))
    mistakes = read_table(reports / "mistakes.csv", ("index", "label", "predicted", "confidence"), empty=True)
    images = read_split(prepared, "test").images
    weights = read_weights(model)  # (inputs, units)
    largest = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")[:UNITS]
    return Record(
        split=split,
        metrics=read_record(reports / "metrics.json"),
        history=read_table(reports / "history.csv", ("epoch", "train_loss", *scored)).rename(columns=scored),
        confusion=pairs.pivot(index="label", columns="predicted", values="count").loc[order, order],
        classes=read_table(reports / "classes.csv", ("class", "precision", "recall", "f1", "support")),
        mistakes=mistakes,
        pictures=images[mistakes["index"].to_numpy(int)],
        weights=weights[:, largest].T.reshape(-1, *images.shape[1:]),
        units=weights.shape[1],
    )


def read_weights(path: Path) -> np.ndarray:
    """The first layer's weights: (inputs, units). A diverged network's are no numbers; they are shown as 0."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.nan_to_num(arrays["weights_1"], posinf=0.0, neginf=0.0)
    except FileNotFoundError as error:
        raise missing(path) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path) from error


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
