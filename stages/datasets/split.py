"""A part of the images drawn at random, as large a share of every class, and the same images for the same seed."""

import numpy as np

from stages.errors import StudyError


def draw(labels: np.ndarray, classes: int, count: int, seed: int, parameter: str) -> np.ndarray:
    """Draw `count` of n images; sorted int64 (count,). `parameter` is what set it, for errors.

    labels: uint8 (n,), class indices. Each class gives its share of `count`, rounded so that the sum is met (the
    largest remainders are rounded up), at least one image, and not its last one.
    """
    sizes = np.bincount(labels, minlength=classes)  # (classes,)
    if not classes <= count <= len(labels) - classes or sizes.min() < 2:
        smallest = int(sizes.argmin())
        raise StudyError(
            f"{parameter}: {count} of {len(labels)} images of {classes} classes is not allowed; every class must give "
            f"one and keep one (class {smallest} has {sizes[smallest]})"
        )
    shares = count * sizes / len(labels)
    wanted = np.clip(np.floor(shares), 1, sizes - 1).astype(int)
    for label in np.argsort(wanted - shares, kind="stable").tolist() * 2:
        difference = count - wanted.sum()
        step = int(np.sign(difference))
        if 1 <= wanted[label] + step <= sizes[label] - 1:
            wanted[label] += step
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(np.flatnonzero(labels == label), wanted[label], replace=False) for label in range(classes)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)
