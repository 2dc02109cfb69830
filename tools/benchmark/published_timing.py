"""The seconds that the published way takes: an epoch and the evaluation that belongs to it."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tools.benchmark.data import Data
from tools.benchmark.published_way import evaluate, first_weights, train_epoch


class Parts(NamedTuple):
    """Seconds of training and of evaluation, and the accuracy that came out."""

    training: float
    evaluation: float
    accuracy: float


def epoch_and_evaluation(data: Data, test: Data, sizes: Sequence[int], batch_size: int) -> Parts:
    """One epoch on `data`, evaluated on `test`."""
    weights = first_weights(sizes)
    trained_on, scored = (data.pixels, data.one_hot), (test.pixels, test.one_hot)
    with np.errstate(all="ignore"):  # what overflows is no matter of speed
        start = time.perf_counter()
        train_epoch(weights, *trained_on, batch_size)
        trained = time.perf_counter()
        accuracy, _ = evaluate(weights, *scored)
        end = time.perf_counter()
    return Parts(trained - start, end - trained, accuracy)
