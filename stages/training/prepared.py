"""The prepared data set: one file that preprocessing writes and training reads, split by split."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.errors import StudyError
from stages.training.files import write_arrays

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "validation_index", "mean", "std")
ARRAYS += ("class_names",)
SCORED = 5000  # training images at most, after every epoch


class Split(NamedTuple):
    """images: uint8 (n, height, width, channels); labels: uint8 one-hot (n, classes)."""

    images: np.ndarray
    labels: np.ndarray


def write_prepared(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a prepared data set.

    train_images, test_images: uint8 (n, height, width, channels). train_labels, test_labels: uint8 one-hot
    (n, classes). validation_index: int64, ascending, the training images of the validation split. mean, std: float64
    (channels,), of pixels / 255 over the other training images. class_names: str (classes,).
    """
    write_arrays(path, {name: arrays[name] for name in ARRAYS})


def read_split(path: Path, name: str) -> Split:
    """Read a split for training or model selection: `all_training`, or its parts `training` and `validation`."""
    images, labels, validation = _read(path, "train_images", "train_labels", "validation_index")
    held_out = np.isin(np.arange(len(labels)), validation)  # (n,)
    chosen = {"all_training": slice(None), "training": ~held_out, "validation": held_out}[name]
    return Split(images[chosen], labels[chosen])


def read_test(path: Path) -> Split:
    """Read the test images, which are for scoring only (but see `redivide`)."""
    return Split(*_read(path, "test_images", "test_labels"))


def redivide(path: Path, rng: np.random.Generator) -> tuple[Split, Split]:
    """Divide all images at random into training and test images, as many of each class in each as now, in random order.

    For the published protocol alone, where test images choose nothing.
    """
    train, test = read_split(path, "all_training"), read_test(path)
    images, labels = np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels])
    counts = test.labels.sum(axis=0)  # (classes,)
    drawn = [rng.choice(np.flatnonzero(labels[:, i]), count, replace=False) for i, count in enumerate(counts)]
    in_test = rng.permutation(np.concatenate(drawn))
    in_training = rng.permutation(np.setdiff1d(np.arange(len(labels)), in_test))
    return Split(images[in_training], labels[in_training]), Split(images[in_test], labels[in_test])


def scored_index(count: int) -> np.ndarray:
    """Which of `count` training images are scored after every epoch: int64 (at most SCORED,), evenly spaced."""
    return np.linspace(0, count - 1, min(count, SCORED)).astype(int)


def read_normalisation(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64 (channels,), of pixels / 255 over the split `training`."""
    mean, std = _read(path, "mean", "std")
    return mean, std


def read_class_names(path: Path) -> tuple[str, ...]:
    """The names of the classes, in the order of the one-hot labels."""
    return tuple(_read(path, "class_names")[0].tolist())


def scale(
    images: np.ndarray,
    *,
    mean: Sequence[float] | np.ndarray | None = None,
    std: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Pixels / 255, standardised per channel where `mean` and `std` (channels,) are given.

    images: uint8 (n, height, width, channels); returns float32 (n, height * width * channels), C-contiguous.
    """
    if (mean is None) != (std is None):
        raise ValueError("give both mean and std, or neither")
    scaled = np.divide(images, np.float32(255), dtype=np.float32, order="C")
    if mean is not None:
        scaled -= np.asarray(mean, np.float32)
        scaled /= np.asarray(std, np.float32)
    return scaled.reshape(len(images), -1)


def _read(path: Path, *names: str) -> list[np.ndarray]:
    """Read the named arrays and no others."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing; run `dvc repro preprocess`") from error
    except (MemoryError, PermissionError):
        raise
    except Exception as error:  # zipfile and NumPy raise many kinds for a damaged file
        raise StudyError(f"{path} is damaged or not a prepared data set; run `dvc repro preprocess`") from error
