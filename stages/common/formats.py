"""From the canonical files of any edition to the same four arrays, checked against what the edition promises."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.common.cifar_binary import read_cifar_binary
from stages.common.editions import Edition
from stages.common.errors import StudyError
from stages.common.idx import read_idx
from stages.common.jpeg_tar import read_tar


class Images(NamedTuple):
    """images: uint8 (n, height, width, channels); labels: uint8 (n,), indices into the class names."""

    images: np.ndarray
    labels: np.ndarray


def read_raw(folder: Path, edition: Edition) -> tuple[Images, Images]:
    """Read the training and the test images from the folder that `download` wrote."""
    readers = {"idx": _read_idx, "cifar_binary": _read_cifar_binary, "jpeg": _read_jpeg}
    if edition.format not in readers:
        raise StudyError(f"{edition.label}: format {edition.format!r} is unknown; known: {', '.join(readers)}")
    for name, content in edition.contents.items():
        if not (folder / name).is_file():
            raise StudyError(f"{folder / name} is missing: not the {edition.label}; run `dvc repro download`")
        # What is too large is not read at all; the reader of tar archives has a bound of its own.
        if edition.format != "jpeg" and (found := (folder / name).stat().st_size) > content.bytes:
            raise StudyError(
                f"{folder / name} has {found:,} bytes, not {content.bytes:,}: "
                f"not the {edition.label}; run `dvc repro download`"
            )
    train, test = readers[edition.format](folder, edition)
    _check(train, edition.train_images, edition, f"{folder}: training")
    _check(test, edition.test_images, edition, f"{folder}: test")
    return train, test


def _read_idx(folder: Path, edition: Edition) -> tuple[Images, Images]:
    def read(prefix: str) -> Images:
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte", 3)
        return Images(images[..., np.newaxis], read_idx(folder / f"{prefix}-labels-idx1-ubyte", 1))

    return read("train"), read("t10k")


def _read_cifar_binary(folder: Path, edition: Edition) -> tuple[Images, Images]:
    names = sorted(name for name in edition.contents if name.startswith("data_batch_"))
    batches = [read_cifar_binary(folder / name, edition.image_shape) for name in names]
    images, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return Images(images, labels), Images(*read_cifar_binary(folder / "test_batch.bin", edition.image_shape))


def _read_jpeg(folder: Path, edition: Edition) -> tuple[Images, Images]:
    (name,) = edition.contents
    splits = read_tar(folder / name, edition)
    return Images(*splits["train"]), Images(*splits["test"])


def _check(part: Images, count: int, edition: Edition, where: str) -> None:
    images, labels = part
    if len(images) != count or len(labels) != count:
        raise StudyError(f"{where}: {len(images):,} images and {len(labels):,} labels, not {count:,} of each")
    if images.shape[1:] != edition.image_shape:
        raise StudyError(f"{where}: images of shape {images.shape[1:]}, not {edition.image_shape}")
    classes = len(edition.class_names)
    if labels.max(initial=0) >= classes:
        raise StudyError(f"{where}: label {labels.max()} is out of range; the {classes} classes are 0 to {classes - 1}")
    for name, found in zip(edition.class_names, np.bincount(labels, minlength=classes), strict=True):
        if found != count // classes:  # every class has as many images in every data set here
            raise StudyError(f"{where}: {found:,} images of the class {name}, not {count // classes:,}")
