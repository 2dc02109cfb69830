"""How much arithmetic training asks for: floating-point operations of the matrix products alone.

Multiplying (n, inputs) by (inputs, units) takes n · inputs · units multiplications and as many additions. Activations,
biases and updates are left out: they are few, and a network that did nothing else would be at the limit.
"""

from collections.abc import Sequence
from itertools import pairwise


def connections(sizes: Sequence[int]) -> list[int]:
    """Weights of each layer of a network with these numbers of units, input first."""
    return [inputs * units for inputs, units in pairwise(sizes)]


def forward_flops(sizes: Sequence[int], images: int) -> int:
    """Operations of predicting `images` images."""
    return 2 * images * sum(connections(sizes))


def training_flops(sizes: Sequence[int], images: int) -> int:
    """Operations of training on `images` images once: forward, weight gradients, and errors of all inputs but the
    network's own."""
    return 2 * forward_flops(sizes, images) + 2 * images * sum(connections(sizes)[1:])


def product_flops(side: int) -> int:
    """Operations of multiplying two square matrices of `side` rows."""
    return 2 * side**3
