"""Contestant: the network from scratch, `stages.numpy_net`, as the study trains it."""

import time
from collections.abc import Sequence

import numpy as np

from stages.numpy_net import Network, epochs
from stages.numpy_net.losses import objective
from stages.numpy_net.optimisers import optimiser
from tools.benchmark.data import Data

LR = 0.01
PUBLISHED_LR = 0.001
PUBLISHED_SEED = 42


def architecture(sizes: Sequence[int]) -> list[dict[str, int | str]]:
    """Layers with ReLU between them and a softmax at the end, as `Network` reads them."""
    activations = ["relu"] * (len(sizes) - 1) + ["softmax"]
    return [{"input_nodes": size, "activation": name} for size, name in zip(sizes, activations, strict=True)]


def constant_rates(images: int, batch_size: int, lr: float) -> np.ndarray:
    """One epoch of equal learning rates: (1, steps)."""
    return np.full((1, -(-images // batch_size)), lr)


def epoch_seconds(data: Data, sizes: Sequence[int], batch_size: int) -> float:
    """One epoch in float32: cross-entropy, mean gradients, plain gradient descent, no evaluation to speak of."""
    network = Network(architecture(sizes), generator=np.random.default_rng(0))
    rows = epochs(
        network,
        objective("cross_entropy", np.float32),
        optimiser("sgd", network.parameters),
        data.pixels,
        data.one_hot,
        evaluation=(data.pixels[:1], data.one_hot[:1]),
        learning_rates=constant_rates(len(data.pixels), batch_size, LR),
        batch_size=batch_size,
        generator=np.random.default_rng(1),
    )
    start = time.perf_counter()
    next(rows)
    return time.perf_counter() - start


def published_epoch(data: Data, test: Data, sizes: Sequence[int], batch_size: int) -> tuple[float, float]:
    """One epoch and its evaluation by the published protocol, in float64: seconds, and accuracy on `test`."""
    draw = np.random.RandomState(PUBLISHED_SEED)
    network = Network(architecture(sizes), generator=draw, bias=False, dtype=np.float64)
    rows = epochs(
        network,
        objective("published", np.float64),
        optimiser("sgd", network.parameters),
        data.pixels.astype(np.float64),
        data.one_hot.astype(np.float64),
        evaluation=(test.pixels.astype(np.float64), test.one_hot.astype(np.float64)),
        learning_rates=constant_rates(len(data.pixels), batch_size, PUBLISHED_LR),
        batch_size=batch_size,
        generator=np.random.RandomState(PUBLISHED_SEED),
        mean=False,
        reshuffle=False,
    )
    start = time.perf_counter()
    row = next(rows)
    return time.perf_counter() - start, row["accuracy"]
