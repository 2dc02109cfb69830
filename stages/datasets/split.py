"""The validation split: drawn at random, the same number from every class, and the same images for the same seed."""

import numpy as np

from stages.errors import StudyError


def validation_index(labels: np.ndarray, classes: int, count: int, seed: int) -> np.ndarray:
    """Draw `count` of the n training images for validation; sorted int64 (count,).

    labels: uint8 (n,), class indices.
    """
    per_class, rest = divmod(count, classes)
    if rest or per_class < 1:
        raise StudyError(
            f"validation_images: {count} is not allowed; give a positive multiple of the {classes} classes"
        )
    smallest = int(np.bincount(labels, minlength=classes).min())
    if per_class >= smallest:
        raise StudyError(
            f"validation_images: {count} leaves no training images in some class; "
            f"at most {classes * (smallest - 1)} are allowed"
        )
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(np.flatnonzero(labels == label), per_class, replace=False) for label in range(classes)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)
