"""Activations: without a nonlinear function between them, dense layers would multiply to a single matrix.

Each is a pair: `forward` fills `a` with f(z), `backward` multiplies the error in place by f'(z), the chain rule for an
elementwise function. All arrays: (batch, units).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stages.numpy_net.buffers import Buffers
from stages.numpy_net.choices import choose

ZERO = np.zeros((), np.float32)  # faster than a Python number, which NumPy converts at every call
LEAK = 0.01  # slope of leaky ReLU below zero (Maas et al. 2013)
GELU_SCALE = np.sqrt(2 / np.pi)
GELU_CUBIC = 0.044715


def relu(z: np.ndarray, a: np.ndarray) -> None:
    """f(z) = max(z, 0)."""
    np.maximum(z, ZERO, out=a)


def relu_backward(z: np.ndarray, a: np.ndarray, error: np.ndarray, buffers: Buffers) -> None:
    """f'(z) = 1 where z > 0, else 0: the sign of a, in a's dtype, so that the product needs no cast."""
    error *= np.sign(a, out=buffers.get("slope", *z.shape))


def leaky_relu(z: np.ndarray, a: np.ndarray) -> None:
    """f(z) = z where z > 0, else 0.01 z."""
    np.maximum(z, np.multiply(z, LEAK, out=a), out=a)


def leaky_relu_backward(z: np.ndarray, a: np.ndarray, error: np.ndarray, buffers: Buffers) -> None:
    """f'(z) = 1 where z > 0, else 0.01."""
    np.multiply(error, LEAK, out=error, where=np.less_equal(a, 0, out=buffers.get("negative", *z.shape, bool)))


def sigmoid(z: np.ndarray, a: np.ndarray) -> None:
    """f(z) = 1 / (1 + exp(-z)), written as (1 + tanh(z / 2)) / 2, which never overflows."""
    np.multiply(z, 0.5, out=a)
    np.tanh(a, out=a)
    a += 1
    a *= 0.5


def sigmoid_backward(z: np.ndarray, a: np.ndarray, error: np.ndarray, buffers: Buffers) -> None:
    """f'(z) = a (1 - a)."""
    slope = np.subtract(1, a, out=buffers.get("slope", *z.shape))
    slope *= a
    error *= slope


def tanh(z: np.ndarray, a: np.ndarray) -> None:
    """f(z) = tanh(z)."""
    np.tanh(z, out=a)


def tanh_backward(z: np.ndarray, a: np.ndarray, error: np.ndarray, buffers: Buffers) -> None:
    """f'(z) = 1 - a²."""
    slope = np.multiply(a, a, out=buffers.get("slope", *z.shape))
    np.subtract(1, slope, out=slope)
    error *= slope


def gelu(z: np.ndarray, a: np.ndarray) -> None:
    """f(z) = z/2 (1 + tanh(sqrt(2/π) (z + 0.044715 z³))), the tanh form of Hendrycks & Gimpel 2016."""
    gelu_tanh(z, a)
    a += 1
    a *= z
    a *= 0.5


def gelu_backward(z: np.ndarray, a: np.ndarray, error: np.ndarray, buffers: Buffers) -> None:
    """f'(z) = (1 + t)/2 + z/2 (1 - t²) sqrt(2/π) (1 + 3 · 0.044715 z²), where t is the tanh in f."""
    t = buffers.get("t", *z.shape)
    gelu_tanh(z, t)
    slope = np.multiply(z, z, out=buffers.get("slope", *z.shape))
    slope *= 3 * GELU_CUBIC * GELU_SCALE
    slope += GELU_SCALE
    slope *= z
    square = np.multiply(t, t, out=buffers.get("square", *z.shape))
    slope *= np.subtract(1, square, out=square)
    slope += t
    slope += 1
    slope *= 0.5
    error *= slope


def gelu_tanh(z: np.ndarray, t: np.ndarray) -> None:
    """t = tanh(sqrt(2/π) (z + 0.044715 z³)): shared by GELU and its derivative."""
    np.multiply(z, z, out=t)
    t *= GELU_CUBIC * GELU_SCALE
    t += GELU_SCALE
    t *= z
    np.tanh(t, out=t)


class Pair(NamedTuple):
    """An activation and its backward pass."""

    forward: Callable[[np.ndarray, np.ndarray], None]
    backward: Callable[[np.ndarray, np.ndarray, np.ndarray, Buffers], None]


ACTIVATIONS = {
    "relu": Pair(relu, relu_backward),
    "leaky_relu": Pair(leaky_relu, leaky_relu_backward),
    "sigmoid": Pair(sigmoid, sigmoid_backward),
    "tanh": Pair(tanh, tanh_backward),
    "gelu": Pair(gelu, gelu_backward),
}


class Activation:
    """The layer a = f(z), elementwise."""

    def __init__(self, name: str, dtype: np.dtype | type) -> None:
        self.pair = choose("activation", name, ACTIVATIONS)
        self.buffers = Buffers(dtype)

    def forward(self, z: np.ndarray, training: bool = False) -> np.ndarray:
        """(batch, units) -> (batch, units)."""
        self.z = z
        self.a = self.buffers.get("a", *z.shape)
        self.pair.forward(z, self.a)
        return self.a

    def backward(self, error: np.ndarray) -> np.ndarray:
        """dL/da -> dL/dz, both (batch, units), in place."""
        self.pair.backward(self.z, self.a, error, self.buffers)
        return error
