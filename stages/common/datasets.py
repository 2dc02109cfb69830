"""What training sees of a data set: one compact file, read split by split, and scaled to what networks compute with."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.common.errors import StudyError

SPLITS = ("training", "validation", "all_training", "test")


class Split(NamedTuple):
    """images: uint8 (n, height, width, channels); labels: uint8 one-hot (n, classes)."""

    images: np.ndarray
    labels: np.ndarray


def read_split(path: Path, name: str) -> Split:
    """Read one split: `training` and `validation` are the two parts of `all_training`; `test` is apart."""
    if name not in SPLITS:
        raise StudyError(f"split {name!r} is unknown; known: {', '.join(SPLITS)}")
    if name == "test":
        return Split(*_read(path, "test_images", "test_labels"))
    images, labels, validation = _read(path, "train_images", "train_labels", "validation_index")
    if name == "all_training":
        return Split(images, labels)
    chosen = np.zeros(len(images), bool)  # (n,)
    chosen[validation] = True
    if name == "training":
        chosen = ~chosen
    return Split(images[chosen], labels[chosen])


def read_normalisation(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64 (channels,), of pixels / 255 over the split `training`."""
    mean, std = _read(path, "mean", "std")
    return mean, std


def read_class_names(path: Path) -> tuple[str, ...]:
    """The names of the classes, in the order of the one-hot labels."""
    (names,) = _read(path, "class_names")
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
        raise ValueError("mean and std go together: give both or neither")
    scaled = np.divide(images, np.float32(255), dtype=np.float32, order="C")
    if mean is not None:
        scaled -= np.asarray(mean, np.float32)
        scaled /= np.asarray(std, np.float32)
    return scaled.reshape(len(images), -1)


def _read(path: Path, *names: str) -> list[np.ndarray]:
    """Read the named arrays and no others."""
    try:
        # np.load given a path would leave a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing; run `dvc repro preprocess`") from error
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise StudyError(f"{path} is damaged or not a prepared data set; run `dvc repro preprocess`") from error
