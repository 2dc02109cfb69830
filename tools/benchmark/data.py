"""What the contestants train on: the prepared data sets, or noise of the same shape where they are missing."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from stages.common.datasets import read_split, read_test, scale

PREPARED = Path("data/prepared")
CLASSES = 10
SHAPES = {"fashion_mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
# Images in each split, as params.yaml parts them.
COUNTS = {
    ("fashion_mnist", "training"): 50_000,
    ("fashion_mnist", "all_training"): 60_000,
    ("fashion_mnist", "test"): 10_000,
    ("cifar10", "training"): 45_000,
}


@dataclass(frozen=True)
class Data:
    """`images`: uint8 (n, height, width, channels); `classes`: uint8 one-hot (n, classes).

    What else contestants want is made on demand and kept, so that a process holds only what it uses.
    """

    images: np.ndarray
    classes: np.ndarray

    @cached_property
    def pixels(self) -> np.ndarray:
        """Float32 (n, inputs) in [0, 1]."""
        return scale(self.images)

    @cached_property
    def one_hot(self) -> np.ndarray:
        """Float32 (n, classes)."""
        return self.classes.astype(np.float32)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class numbers int64 (n,)."""
        return self.classes.argmax(axis=1)

    def first(self, count: int) -> "Data":
        """The first `count` images, without copying."""
        return Data(self.images[:count], self.classes[:count])


def is_prepared(name: str) -> bool:
    """Whether the project holds the prepared data set."""
    return prepared(name).exists()


def prepared(name: str) -> Path:
    """Where the prepared data set is."""
    return PREPARED / f"{name}.npz"


def load(name: str, split: str, limit: int | None = None) -> Data:
    """A split of a data set; with `limit`, noise: that many images at most."""
    if limit is None and is_prepared(name):
        path = prepared(name)
        return Data(*(read_test(path) if split == "test" else read_split(path, split)))
    count = COUNTS[name, split]
    return Data(*noise(SHAPES[name], count if limit is None else min(limit, count)))


def noise(shape: tuple[int, int, int], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (count, height, width, channels) and one-hot labels uint8 (count, classes), drawn at random."""
    generator = np.random.default_rng(0)
    images = generator.integers(256, size=(count, *shape), dtype=np.uint8)
    return images, np.eye(CLASSES, dtype=np.uint8)[generator.integers(CLASSES, size=count)]
