"""Activations f(z), each with its derivative: without them, dense layers would multiply to a single matrix.

All arrays: (batch, units). A derivative is given z and a = f(z), as some are simpler in terms of a.
"""

import numpy as np

LEAK = 0.01  # slope of leaky ReLU below zero (Maas et al. 2013)
GELU_SCALE = float(np.sqrt(2 / np.pi))
GELU_CUBIC = 0.044715


def relu(z: np.ndarray) -> np.ndarray:
    """max(z, 0)."""
    return np.maximum(z, 0)


def relu_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """1 where z > 0, else 0."""
    return z > 0


def leaky_relu(z: np.ndarray) -> np.ndarray:
    """z where z > 0, else 0.01 z."""
    return np.maximum(z, LEAK * z)


def leaky_relu_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """1 where z > 0, else 0.01."""
    return np.where(z > 0, 1, LEAK).astype(z.dtype)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), written as (1 + tanh(z / 2)) / 2, which never overflows."""
    return (1 + np.tanh(z / 2)) / 2


def sigmoid_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """a (1 - a)."""
    return a * (1 - a)


def tanh(z: np.ndarray) -> np.ndarray:
    """tanh(z)."""
    return np.tanh(z)


def tanh_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """1 - a²."""
    return 1 - a * a


def gelu(z: np.ndarray) -> np.ndarray:
    """z/2 (1 + t) with t = tanh(sqrt(2/π) (z + 0.044715 z³)), the tanh form of Hendrycks & Gimpel 2016."""
    return z / 2 * (1 + gelu_tanh(z))


def gelu_derivative(z: np.ndarray, a: np.ndarray) -> np.ndarray:
    """(1 + t)/2 + z/2 (1 - t²) sqrt(2/π) (1 + 3 · 0.044715 z²)."""
    t = gelu_tanh(z)
    return (1 + t) / 2 + z / 2 * (1 - t * t) * GELU_SCALE * (1 + 3 * GELU_CUBIC * z * z)


def gelu_tanh(z: np.ndarray) -> np.ndarray:
    """t = tanh(sqrt(2/π) (z + 0.044715 z³)): shared by GELU and its derivative."""
    return np.tanh(GELU_SCALE * (z + GELU_CUBIC * z * z * z))


ACTIVATIONS = {
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "gelu": (gelu, gelu_derivative),
}


class Activation:
    """The layer a = f(z), elementwise; `name` is one of `ACTIVATIONS`."""

    def __init__(self, name: str) -> None:
        self.function, self.derivative = ACTIVATIONS[name]

    def forward(self, z: np.ndarray, training: bool = False) -> np.ndarray:
        """(batch, units) -> (batch, units)."""
        self.z, self.a = z, self.function(z)
        return self.a

    def backward(self, error: np.ndarray) -> np.ndarray:
        """dL/da -> dL/dz = dL/da · f'(z), both (batch, units)."""
        return error * self.derivative(self.z, self.a)
