"""The results of a final model, whatever trained it.

history.csv      one row per epoch
metrics.json     the headline figures (what `dvc metrics diff` shows)
confusion.csv    counts of true and predicted classes
classes.csv      precision, recall and F1 of each class
calibration.csv  accuracy by confidence
errors.csv       the most confident errors
"""

from pathlib import Path

import numpy as np
import pandas as pd

from stages.training.files import write_csv, write_json
from stages.training.results import Run, epochs_table

ERRORS = 25  # how many of the most confident errors are listed
BINS = 15  # of confidence, as in Guo et al. 2017


def write_final_model(
    folder: Path, run: Run, labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...], **more: str | int
) -> None:
    """Write the files above.

    labels: one-hot (n, classes), of the test images; probabilities: (n, classes), as the network predicts them.
    more: other entries of metrics.json, such as the precision and the device.
    """
    numbers = labels.argmax(axis=1)  # (n,)
    write_csv(folder / "history.csv", epochs_table(run.history, run.split))
    write_json(folder / "metrics.json", headline_metrics(run, numbers, probabilities) | more)
    write_csv(folder / "confusion.csv", confusion_table(numbers, probabilities, names))
    write_csv(folder / "classes.csv", class_table(numbers, probabilities, names))
    write_csv(folder / "calibration.csv", calibration_table(numbers, probabilities))
    write_csv(folder / "errors.csv", error_table(numbers, probabilities, names))


# In the functions below, labels are class numbers (n,), probabilities (n, classes).


def headline_metrics(run: Run, labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float | int]:
    """The figures of the epoch whose parameters were kept, and the test figures; those not finite are left out."""
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


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts: int64 (classes, classes), row = true class, column = predicted."""
    classes = probabilities.shape[1]
    pairs = labels * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def confusion_table(labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """A row for each pair of classes: label, predicted, count."""
    counts = confusion_matrix(labels, probabilities)
    return pd.DataFrame(
        [(names[row], names[column], count) for (row, column), count in np.ndenumerate(counts)],
        columns=["label", "predicted", "count"],
    )


def class_table(labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """A row for each class: precision, recall, F1, support.

    A class that is never predicted has precision 0, a class without images recall 0, as in scikit-learn.
    """
    counts = confusion_matrix(labels, probabilities)
    hits, predicted, support = np.diag(counts).astype(float), counts.sum(axis=0), counts.sum(axis=1)  # (classes,) each
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * precision * recall / np.where(precision + recall > 0, precision + recall, 1)
    return pd.DataFrame({"class": names, "precision": precision, "recall": recall, "f1": f1, "support": support})


def error_table(labels: np.ndarray, probabilities: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """The most confident errors, in descending order: index in the split, label, predicted, confidence."""
    predictions, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)  # (n,), (n,)
    wrong = np.flatnonzero(predictions != labels)
    chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][:ERRORS]
    return pd.DataFrame(
        {
            "index": chosen,
            "label": [names[number] for number in labels[chosen]],
            "predicted": [names[number] for number in predictions[chosen]],
            "confidence": confidence[chosen].astype(float),
        }
    )


def calibration_table(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """A row for each bin of confidence: low, high, count, and the mean confidence and accuracy of its images.

    A bin holds confidences above `low` and up to `high`; the means of an empty bin are NaN.
    """
    confidence = probabilities.max(axis=1).astype(float)  # (n,)
    correct = probabilities.argmax(axis=1) == labels  # (n,)
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)  # (n,)
    count = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin
        return pd.DataFrame(
            {
                "low": edges[:-1],
                "high": edges[1:],
                "count": count,
                "confidence": np.bincount(bins, confidence, BINS) / count,
                "accuracy": np.bincount(bins, correct, BINS) / count,
            }
        )


def calibration_error(table: pd.DataFrame) -> float:
    """Expected calibration error: the mean over images of |accuracy - confidence| of their bin (Guo et al. 2017)."""
    full = table[table["count"] > 0]
    gaps = (full["accuracy"] - full["confidence"]).abs() * full["count"]
    return float(gaps.sum(skipna=False) / full["count"].sum())  # NaN for a diverged network


def top_accuracy(labels: np.ndarray, probabilities: np.ndarray, count: int) -> float:
    """The fraction of images whose class is among the `count` most probable."""
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]  # (n, count)
    return float((top == labels[:, np.newaxis]).any(axis=1).mean())
