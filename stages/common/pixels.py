"""Facts about a data set's pixels, computed so that they come out the same on every machine."""

import hashlib
import math
from collections import Counter

import numpy as np

from stages.common.errors import StudyError

IMAGES_AT_A_TIME = 1000  # bounds the memory of intermediate results


def normalisation(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (population) of pixels / 255 for each channel, float64 (channels,) each.

    images: uint8 (n, height, width, channels). Counts of the 256 values are exact integers and so are the sums made
    from them, hence no order of summation shows in the last digits.
    """
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(images), IMAGES_AT_A_TIME):
        pixels = images[start : start + IMAGES_AT_A_TIME].reshape(-1, channels)
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


def image_digests(images: np.ndarray) -> Counter[bytes]:
    """How often each image occurs, by the SHA-256 of its pixels."""
    return Counter(hashlib.sha256(image).digest() for image in np.ascontiguousarray(images))


def surplus_copies(digests: Counter[bytes]) -> int:
    """Images that repeat an earlier one of the same split."""
    return digests.total() - len(digests)


def copies_of(digests: Counter[bytes], others: Counter[bytes]) -> int:
    """Images of one split that also occur in the other."""
    return sum(count for digest, count in digests.items() if digest in others)
