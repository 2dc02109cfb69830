"""What training sees of a data set: one compact file, read split by split, and scaled to what networks compute with."""

import math
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from stages.common.errors import StudyError

SPLITS = ("training", "validation", "all_training")


class Split(NamedTuple):
    """images: uint8 (n, height, width, channels); labels: uint8 one-hot (n, classes)."""

    images: np.ndarray
    labels: np.ndarray


def read_split(path: Path, name: str) -> Split:
    """Read what a network may be trained on or chosen by: `all_training`, or its parts `training` and `validation`."""
    if name not in SPLITS:
        raise StudyError(f"split {name!r} is unknown; known: {', '.join(SPLITS)}")
    images, labels, validation = _read(path, "train_images", "train_labels", "validation_index")
    everything = _split(path, name, images, labels)
    if name == "all_training":
        return everything
    if not _is_index(validation, len(images)):
        raise _spoilt(path)
    chosen = np.zeros(len(images), bool)  # (n,)
    chosen[validation] = True
    if name == "training":
        chosen = ~chosen
    return _split(path, name, images[chosen], labels[chosen])


def read_test(path: Path) -> Split:
    """Read the test images. They are for scoring alone: a test holds that nothing else calls this."""
    return _split(path, "test", *_read(path, "test_images", "test_labels"))


def read_normalisation(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64 (channels,), of pixels / 255 over the split `training`."""
    mean, std = _read(path, "mean", "std")
    if {mean.dtype, std.dtype} != {np.dtype(np.float64)} or mean.ndim != 1 or mean.shape != std.shape:
        raise _spoilt(path)
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise _spoilt(path)
    return mean, std


def read_class_names(path: Path) -> tuple[str, ...]:
    """The names of the classes, in the order of the one-hot labels."""
    (names,) = _read(path, "class_names")
    if names.dtype.kind != "U" or names.ndim != 1:
        raise _spoilt(path)
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


def _split(path: Path, name: str, images: np.ndarray, labels: np.ndarray) -> Split:
    """The split, if it is one: images, as many one-hot labels, and at least one of each."""
    if (images.dtype, labels.dtype, images.ndim, labels.ndim) != (np.uint8, np.uint8, 4, 2):
        raise _spoilt(path)
    if len(images) != len(labels) or (labels.sum(axis=1) != 1).any():
        raise _spoilt(path)
    if not images.size:
        raise StudyError(f"{path}: the split {name} has no images; run `dvc repro preprocess`")
    return Split(images, labels)


def _is_index(numbers: np.ndarray, count: int) -> bool:
    """Whether these are numbers of some of `count` images, in order and each once."""
    if numbers.dtype != np.int64 or numbers.ndim != 1 or (np.diff(numbers) < 1).any():
        return False
    return bool(numbers.min(initial=0) >= 0 and numbers.max(initial=-1) < count)


def _read(path: Path, *names: str) -> list[np.ndarray]:
    """Read the named arrays and no others."""
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns of some headers that it cannot be sure of
            return [_array(archive, f"{name}.npy", path.stat().st_size) for name in names]
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing; run `dvc repro preprocess`") from error
    except MemoryError:
        raise  # by `_array`, for what is really there
    # Whatever a spoilt file makes the readers of zip archives and of headers stumble over.
    except Exception as error:
        raise _spoilt(path) from error


def _spoilt(path: Path) -> StudyError:
    return StudyError(f"{path} is damaged or not a prepared data set; run `dvc repro preprocess`")


def _array(archive: zipfile.ZipFile, name: str, most: int) -> np.ndarray:
    """Read one array as `arrays.write_arrays` writes them; memory is taken for what is there, never for what is said.

    `numpy.load` would also unpack, and believe the header.
    """
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > most:
        raise ValueError(f"{name} is packed")
    with archive.open(member) as file:
        if member.file_size != _size(file):
            raise ValueError(f"{name} is not what its header says")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _size(file: IO[bytes]) -> int:
    """Bytes of an .npy file, header and all, by its header."""
    np.lib.format.read_magic(file)
    try:
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except MemoryError as error:  # it is text in Python's syntax, and nested too deeply
        raise ValueError("no header") from error
    return file.tell() + math.prod(shape) * dtype.itemsize
