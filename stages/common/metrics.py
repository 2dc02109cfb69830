"""Figures of merit of a classifier, from its predictions: what a model of record is reported by."""

import numpy as np
import pandas as pd

from stages.common.runs import Run

MISTAKES = 25  # how many of the most confident mistakes are kept


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Count pairs of class numbers, both (n,): int64 (classes, classes), row = true class, column = predicted."""
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and support of each class, all (classes,), from a confusion matrix.

    A class that is never predicted has precision 0, one that never occurs recall 0, as in scikit-learn.
    """
    hits = np.diag(confusion).astype(float)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * precision * recall / np.where(precision + recall > 0, precision + recall, 1)
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def confusion_table(labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """A row for each pair of classes: label, predicted, count. Labels (n,), probabilities (n, classes)."""
    counts = confusion_matrix(labels, probabilities.argmax(axis=1), len(names))
    return pd.DataFrame(
        [(names[row], names[column], count) for (row, column), count in np.ndenumerate(counts)],
        columns=["label", "predicted", "count"],
    )


def class_table(labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """A row for each class: precision, recall, F1, support. Labels (n,), probabilities (n, classes)."""
    counts = confusion_matrix(labels, probabilities.argmax(axis=1), len(names))
    return pd.DataFrame({"class": names, **per_class(counts)})


def mistakes_table(labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """The mistakes the classifier was surest of, first the surest: index in the split, label, predicted, confidence."""
    predictions, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)  # (n,), (n,)
    wrong = np.flatnonzero(predictions != labels)
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    return pd.DataFrame(
        {
            "index": surest,
            "label": [names[number] for number in labels[surest]],
            "predicted": [names[number] for number in predictions[surest]],
            "confidence": confidence[surest].astype(float),
        }
    )


def record_metrics(run: Run) -> dict[str, float | int]:
    """The headline figures of a model of record: those of the epoch whose weights were kept, and the test figures."""
    kept = run.history[run.kept_epoch - 1]
    figures = {
        f"{run.split}_accuracy": kept["accuracy"],
        f"{run.split}_loss": kept["loss"],
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
    }
    return {name: round(value, 4) for name, value in figures.items() if np.isfinite(value)}
