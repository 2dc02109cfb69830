"""Contestant: the multi-layer perceptron of `stages.torch_net`, as the study trains it, on the processor."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from stages.torch_net.devices import has_bfloat16, make_deterministic
from stages.torch_net.images import Augmentation, Normalisation
from stages.torch_net.mlp import MLP
from stages.torch_net.training import Phase, epochs
from tools.benchmark.data import Data

LR = 0.01
PROCESSOR = torch.device("cpu")


@contextmanager
def deterministic() -> Iterator[None]:
    """Deterministic algorithms only, as in every stage; other contestants must not pay for them."""
    make_deterministic()
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode("default")  # the same switch, without importing the compiler


def bfloat16_here() -> bool:
    """Whether this processor multiplies bfloat16."""
    return has_bfloat16(PROCESSOR)


def epoch_seconds(data: Data, sizes: Sequence[int], batch_size: int, bfloat16: bool) -> float:
    """One epoch: cross-entropy, gradient descent, one image evaluated.

    The second of two is timed: before the first, all images are normalised, which a training does once.
    """
    inputs, *hidden, outputs = sizes
    model = MLP(inputs, hidden, outputs, generator=torch.Generator().manual_seed(0))
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    channels = images.shape[-1]
    order = torch.Generator().manual_seed(1)
    steps = -(-len(labels) // batch_size)
    rows = epochs(
        model,
        images,
        labels,
        evaluation=(images[:1], labels[:1]),
        phases=[Phase("sgd", [[LR] * steps] * 2, momentum=0.0, weight_decay=0.0)],
        batch_size=batch_size,
        normalise=Normalisation(torch.zeros(channels), torch.ones(channels)),
        augment=Augmentation(0, False, 0, order),
        generator=order,
        bfloat16=bfloat16,
    )
    return second_of_two(rows)


def second_of_two(rows: Iterator[dict[str, float]]) -> float:
    """Seconds that the second epoch takes, trained as the stages train."""
    with deterministic():
        next(rows)
        start = time.perf_counter()
        next(rows)
        return time.perf_counter() - start
