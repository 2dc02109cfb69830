"""The prepared data set: one file that preprocessing writes and training reads, split by split."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.errors import StudyError
from stages.training.files import write_arrays

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels", "validation_index", "mean", "std")
ARRAYS += ("class_names",)
SPLITS = ("training", "validation", "all_training")


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
    if name not in SPLITS:
        raise StudyError(f"split {name!r} is unknown; known: {', '.join(SPLITS)}")
    images, labels, validation = _read(path, "train_images", "train_labels", "validation_index")
    everything = _check_split(path, name, images, labels)
    if name == "all_training":
        return everything
    if validation.dtype != np.int64 or validation.ndim != 1 or (np.diff(validation) < 1).any():
        raise _damaged(path)
    if validation.min(initial=0) < 0 or validation.max(initial=-1) >= len(images):
        raise _damaged(path)
    chosen = np.full(len(images), name == "training")  # (n,)
    chosen[validation] = name == "validation"
    return _check_split(path, name, images[chosen], labels[chosen])


def read_test(path: Path) -> Split:
    """Read the test images, which are for scoring only: no other function reads them."""
    return _check_split(path, "test", *_read(path, "test_images", "test_labels"))


def read_normalisation(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64 (channels,), of pixels / 255 over the split `training`."""
    mean, std = _read(path, "mean", "std")
    if {mean.dtype, std.dtype} != {np.dtype(np.float64)} or mean.ndim != 1 or mean.shape != std.shape:
        raise _damaged(path)
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise _damaged(path)
    return mean, std


def read_class_names(path: Path) -> tuple[str, ...]:
    """The names of the classes, in the order of the one-hot labels."""
    (names,) = _read(path, "class_names")
    if names.dtype.kind != "U" or names.ndim != 1:
        raise _damaged(path)
    return tuple(names.tolist())


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


def _check_split(path: Path, name: str, images: np.ndarray, labels: np.ndarray) -> Split:
    if (images.dtype, labels.dtype, images.ndim, labels.ndim) != (np.uint8, np.uint8, 4, 2):
        raise _damaged(path)
    if len(images) != len(labels) or (labels.sum(axis=1) != 1).any():
        raise _damaged(path)
    if not images.size:
        raise StudyError(f"{path}: the split {name} has no images; run `dvc repro preprocess`")
    return Split(images, labels)


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
        raise _damaged(path) from error


def _damaged(path: Path) -> StudyError:
    return StudyError(f"{path} is damaged or not a prepared data set; run `dvc repro preprocess`")
