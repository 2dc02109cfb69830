"""From an edition's files to arrays: IDX, CIFAR's binary format, JPEG."""

import gzip
import io
import math
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from stages.datasets.editions import Edition
from stages.errors import StudyError

UNSIGNED_BYTE = 0x08


class Images(NamedTuple):
    """images: uint8 (n, height, width, channels); labels: uint8 (n,), indices into the class names."""

    images: np.ndarray
    labels: np.ndarray


def decode(files: Mapping[str, bytes], edition: Edition) -> tuple[Images, Images]:
    """The training and the test images from the files that `contents.read_contents` returns."""
    decode_split = {"idx": _decode_idx, "cifar_binary": _decode_cifar, "jpeg": _decode_jpeg}[edition.format]
    splits = []
    for split, count in (("train", edition.train_images), ("test", edition.test_images)):
        images, labels = decode_split(files, edition, split)
        where = f"{edition.label}: {split}"
        if images.shape != (count, *edition.image_shape) or labels.shape != (count,):
            expected = (count, *edition.image_shape)
            raise StudyError(f"{where}: images {images.shape} and labels {labels.shape}, not {expected} and ({count},)")
        if labels.max(initial=0) >= len(edition.class_names):
            raise StudyError(f"{where}: label {labels.max()}, but there are {len(edition.class_names)} classes")
        splits.append(Images(images, labels))
    return splits[0], splits[1]


def parse_idx(data: bytes, name: str) -> np.ndarray:
    """An IDX file of unsigned bytes: 0, 0, type, number of dimensions, each as 4 bytes (big-endian), the values."""
    if len(data) < 4 or data[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise StudyError(f"{name} does not begin as an IDX file of unsigned bytes does")
    header = 4 + 4 * data[3]
    shape = [int.from_bytes(data[start : start + 4], "big") for start in range(4, header, 4)]
    if len(data) != header + math.prod(shape):
        raise StudyError(f"{name} has {len(data):,} bytes, but its header {shape} needs {header + math.prod(shape):,}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def parse_cifar(data: bytes, shape: tuple[int, int, int], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Records of one label byte and the image, channel after channel: images (n, *shape) and labels (n,)."""
    height, width, channels = shape
    if len(data) % (1 + math.prod(shape)):
        raise StudyError(f"{name} has {len(data):,} bytes, no multiple of the {1 + math.prod(shape):,} of a record")
    records = np.frombuffer(data, np.uint8).reshape(-1, 1 + math.prod(shape))
    planes = records[:, 1:].reshape(-1, channels, height, width)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0]


def _decode_idx(files: Mapping[str, bytes], edition: Edition, split: str) -> tuple[np.ndarray, np.ndarray]:
    prefix = {"train": "train", "test": "t10k"}[split]

    def read(name: str) -> np.ndarray:
        packed = files.get(f"{name}.gz")
        return parse_idx(gzip.decompress(packed) if packed else files[name], name)

    return read(f"{prefix}-images-idx3-ubyte")[..., np.newaxis], read(f"{prefix}-labels-idx1-ubyte")


def _decode_cifar(files: Mapping[str, bytes], edition: Edition, split: str) -> tuple[np.ndarray, np.ndarray]:
    prefix = {"train": "data_batch_", "test": "test_batch"}[split]
    batches = [parse_cifar(files[name], edition.image_shape, name) for name in sorted(files) if name.startswith(prefix)]
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _decode_jpeg(files: Mapping[str, bytes], edition: Edition, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Ordered by number, then class: the classes take turns, so any run of images is balanced."""
    class_labels = {name: label for label, name in enumerate(edition.class_names)}
    order = []
    for name in files:
        part, class_name, file = name.split("/")
        if part == split:
            order.append((int(file.removesuffix(".jpg")), class_labels[class_name], name))
    order.sort()
    images = np.empty((len(order), *edition.image_shape), np.uint8)
    for i, (_, _, name) in enumerate(order):
        images[i] = decode_jpeg(files[name], edition.image_shape, name)
    return images, np.array([label for _, label, _ in order], np.uint8)


def decode_jpeg(data: bytes, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """The pixels of one JPEG file, uint8 (height, width, channels)."""
    height, width, channels = shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of images that are suspiciously large
            with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
                if image.size == (width, height) and len(image.getbands()) == channels:
                    return np.asarray(image, np.uint8).reshape(shape)
                found = (image.height, image.width, len(image.getbands()))
    except Exception as error:  # of many kinds
        raise StudyError(f"{name} is not a whole JPEG image") from error
    raise StudyError(f"{name} has the shape {found}, not {shape}")
