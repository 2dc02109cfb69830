"""A card for each model of record, after Mitchell et al. 2019: what it is, what it is for, how good, where it fails.

The numbers are those of the report. What a model mistakes for what, and whether it is too sure of itself, is read off
its own test results.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from stages.reporting.halves import Inputs
from stages.reporting.naming import DATA_SETS, record_title, regularisation_name
from stages.reporting.record import Record
from stages.reporting.rendering import render
from stages.reporting.settings import settings_table, training_of
from stages.reporting.statistics import LEVEL, of_share
from stages.reporting.tables import interval, markdown, number

# Where the weights of a model lie, and the stage that trains it, by the first part of its name.
KINDS = {
    "numpy": ("data/models/numpy.npz", "train_numpy"),
    "torch": ("data/models/torch_record.safetensors", "train_torch"),
    "cnn": ("data/models/{name}.safetensors", "train_cnn@{dataset}"),
}


def card_path(name: str) -> str:
    """Where the card of a model stands, seen from the report."""
    return f"cards/{name}.md"


def write_cards(inputs: Inputs) -> dict[str, str]:
    """Every model's card in Markdown, by its path beside the report."""
    return {
        card_path(name): render("card.md.j2", card_context(inputs, name, record))
        for name, record in inputs.records.items()
    }


def card_context(inputs: Inputs, name: str, record: Record) -> dict:
    """What the card's template may name."""
    training = training_of(inputs.params, name)
    facts = inputs.data.set_index("data set").loc[record.dataset]
    file, stage = (text.format(name=name, dataset=record.dataset) for text in KINDS[name.partition("_")[0]])
    counts = record.confusion.to_numpy()
    accuracy = of_share(int(np.trace(counts)), int(counts.sum()), 0.5)
    return {
        "title": record_title(name),
        "data_set": DATA_SETS[record.dataset],
        "facts": facts,
        "file": file,
        "stage": stage,
        "parameters": f"{record.parameters:,}",
        "seed": inputs.params.train_cnn[record.dataset].seed if name.startswith("cnn") else inputs.params.seed,
        "epochs": len(record.history),
        "regularisation": regularisation_name(training),
        "settings": markdown(settings_table({"value": training})),
        "metrics": markdown(metrics_table(record, accuracy.low, accuracy.high)),
        "level": f"{100 * LEVEL:.0f} %",
        "best": class_text(record, record.classes["recall"].idxmax()),
        "worst": class_text(record, record.classes["recall"].idxmin()),
        "confused": most_confused(record.confusion),
        "sureness": sureness(record.calibration),
        "mistakes": len(record.mistakes),
    }


def metrics_table(record: Record, low: float, high: float) -> pd.DataFrame:
    """A row a figure of merit, ready to print."""
    metrics = record.metrics
    figures = {
        "test accuracy": f"{number(metrics.get('test_accuracy'))} {interval(low, high)}",
        "test loss (nats)": number(metrics.get("test_loss")),
        "top-2 test accuracy": number(metrics.get("test_top2_accuracy")),
        "mean recall, precision, F1": ", ".join(
            number(record.classes[name].mean()) for name in ("recall", "precision", "f1")
        ),
        "expected calibration error": number(metrics.get("test_calibration_error")),
        "validation accuracy": number(metrics.get("validation_accuracy")),
    }
    return pd.DataFrame({"figure": list(figures), "value": list(figures.values())})


def class_text(record: Record, place: int) -> str:
    """A class with its recall: `cat (0.7760)`."""
    row = record.classes.loc[place]
    return f"{row['class']} ({number(row['recall'])})"


def most_confused(confusion: pd.DataFrame) -> str:
    """The commonest mistake: `cat taken for dog, 120 of 1,000`."""
    counts = confusion.to_numpy(copy=True)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    label, predicted = np.unravel_index(counts.argmax(), counts.shape)
    names = list(confusion.index)
    return f"{names[label]} taken for {names[predicted]}, {counts[label, predicted]:,} of {totals[label]:,}"


def sureness(calibration: pd.DataFrame) -> Mapping[str, str]:
    """Mean confidence and accuracy over all test images, and what that makes of the model."""
    filled = calibration[calibration["count"] > 0]
    confidence, accuracy = (np.average(filled[name], weights=filled["count"]) for name in ("confidence", "accuracy"))
    return {
        "confidence": number(confidence),
        "accuracy": number(accuracy),
        "kind": "less sure than it is right" if confidence < accuracy else "surer than it is right",
    }
