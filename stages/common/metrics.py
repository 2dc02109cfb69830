"""Figures of merit of a classifier, from its predictions: what a model of record is reported by."""

import numpy as np
import pandas as pd

from stages.common.runs import Run

MISTAKES = 25  # how many of the most confident mistakes are kept
BINS = 15  # of confidence, as in Guo et al. 2017


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


def calibration_table(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """A row for each bin of confidence: low, high, count, and the mean confidence and accuracy of the images in it.

    Labels (n,), probabilities (n, classes). A bin holds confidences above `low` and up to `high`; where there are none,
    the means are not numbers.
    """
    confidence = probabilities.max(axis=1).astype(float)  # (n,)
    right = probabilities.argmax(axis=1) == labels  # (n,)
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)  # (n,)
    count = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin
        return pd.DataFrame(
            {
                "low": edges[:-1],
                "high": edges[1:],
                "count": count,
                "confidence": np.bincount(place, confidence, BINS) / count,
                "accuracy": np.bincount(place, right, BINS) / count,
            }
        )


def calibration_error(table: pd.DataFrame) -> float:
    """Expected calibration error: the mean over images of |accuracy - confidence| of their bin (Guo et al. 2017)."""
    full = table[table["count"] > 0]
    gaps = (full["accuracy"] - full["confidence"]).abs() * full["count"]
    return float(gaps.sum(skipna=False) / full["count"].sum())  # of a lost network, not a number


def top_accuracy(labels: np.ndarray, probabilities: np.ndarray, count: int) -> float:
    """The share of images whose class is among the `count` most probable. Labels (n,), probabilities (n, classes)."""
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]  # (n, count)
    return float((likeliest == labels[:, np.newaxis]).any(axis=1).mean())


def record_metrics(run: Run, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | int]:
    """The headline figures of a model of record: those of the epoch whose weights were kept, and the test figures.

    Labels (n,) of the test images, and the probabilities (n, classes) that the network gives them.
    """
    kept = run.history[run.kept_epoch - 1]
    figures = {
        f"{run.split}_accuracy": kept["accuracy"],
        f"{run.split}_loss": kept["loss"],
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "test_top2_accuracy": top_accuracy(labels, probabilities, 2),
        "test_calibration_error": calibration_error(calibration_table(labels, probabilities)),
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
    }
    return {name: round(value, 4) for name, value in figures.items() if np.isfinite(value)}
