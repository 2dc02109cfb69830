"""Contestant: scikit-learn's `MLPClassifier`, where scikit-learn is installed."""

import importlib.util
import time
from collections.abc import Sequence

import numpy as np

from tools.benchmark.data import Data

LR = 0.01


def installed() -> bool:
    """Whether scikit-learn is there."""
    return importlib.util.find_spec("sklearn") is not None


def epoch_seconds(data: Data, sizes: Sequence[int], batch_size: int) -> float:
    """One epoch in float32: `partial_fit`, i.e. shuffled mini-batches of gradient descent without momentum."""
    from sklearn.neural_network import MLPClassifier  # slow to import, and not needed for the rest

    classes = sizes[-1]
    model = MLPClassifier(
        hidden_layer_sizes=tuple(sizes[1:-1]),
        activation="relu",
        solver="sgd",
        momentum=0.0,
        alpha=0.0,
        learning_rate_init=LR,
        batch_size=batch_size,
        shuffle=True,
        random_state=0,
    )
    # The first call draws the weights, as the other contestants do before the clock starts.
    model.partial_fit(data.pixels[:batch_size], data.labels[:batch_size], classes=np.arange(classes))
    start = time.perf_counter()
    model.partial_fit(data.pixels, data.labels)
    return time.perf_counter() - start
