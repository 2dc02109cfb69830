"""Facts about a data set's pixels and labels, the same to the last digit on every machine."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stages.datasets.formats import Images
from stages.errors import StudyError

CHUNK = 1000  # images at a time, which bounds the memory of intermediate results


def normalisation(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (population) of pixels / 255 for each channel, float64 (channels,) each.

    images: uint8 (n, height, width, channels). Computed from exact counts of the 256 values, so that the order
    of summation does not affect the last digits.
    """
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(images), CHUNK):
        pixels = images[start : start + CHUNK].reshape(-1, channels)
        counts += [np.bincount(pixels[:, channel], minlength=256) for channel in range(channels)]
    moments = [_moments(row) for row in counts.tolist()]
    mean, std = np.array(moments, np.float64).T
    if not std.all():
        raise StudyError("the training images have a channel in which all pixels are the same: nothing to normalise by")
    return np.ascontiguousarray(mean), np.ascontiguousarray(std)


def _moments(counts: list[int]) -> tuple[float, float]:
    total = sum(counts)
    first = sum(value * count for value, count in enumerate(counts))
    second = sum(value * value * count for value, count in enumerate(counts))
    return first / (255 * total), math.sqrt(total * second - first * first) / (255 * total)


def describe(
    data_set: str,
    edition: str,
    class_names: Sequence[str],
    splits: Mapping[str, Images],
    mean: np.ndarray,
    std: np.ndarray,
) -> dict[str, Any]:
    """What is in the splits `training`, `validation` and `test`: counts, class balance, duplicates."""
    digests = {split: _digests(part.images) for split, part in splits.items()}
    return {
        "data_set": data_set,
        "edition": edition,
        "images": {split: len(part.labels) for split, part in splits.items()},
        "image_shape": list(splits["training"].images.shape[1:]),
        "mean": [round(value, 6) for value in mean.tolist()],
        "std": [round(value, 6) for value in std.tolist()],
        "class_balance": {split: _balance(part.labels, class_names) for split, part in splits.items()},
        "duplicates": {
            "within": {split: counts.total() - len(counts) for split, counts in digests.items()},
            "validation_images_in_training": _copies(digests["validation"], digests["training"]),
            "test_images_in_training": _copies(digests["test"], digests["training"]),
            "test_images_in_validation": _copies(digests["test"], digests["validation"]),
        },
    }


def _digests(images: np.ndarray) -> Counter[bytes]:
    """How often each image occurs, by the SHA-256 of its pixels."""
    return Counter(hashlib.sha256(image).digest() for image in np.ascontiguousarray(images))


def _copies(digests: Counter[bytes], others: Counter[bytes]) -> int:
    """Images of one split that also occur in the other."""
    return sum(count for digest, count in digests.items() if digest in others)


def _balance(labels: np.ndarray, class_names: Sequence[str]) -> dict[str, int]:
    return dict(zip(class_names, np.bincount(labels, minlength=len(class_names)).tolist(), strict=True))
