"""Dense and dropout layers, each with its forward and backward pass."""

import numpy as np

from stages.numpy_net.buffers import Buffers


class Dense:
    """z = x W + b.

    `weights`: (inputs, units); `biases`: (units,) or None. The gradients have the same shapes. All four are views into
    the network's two flat vectors, so that an optimiser updates all layers at once.
    """

    def __init__(
        self,
        weights: np.ndarray,
        biases: np.ndarray | None,
        weight_gradient: np.ndarray,
        bias_gradient: np.ndarray | None,
    ) -> None:
        self.weights, self.biases = weights, biases
        self.weight_gradient, self.bias_gradient = weight_gradient, bias_gradient
        self.buffers = Buffers(weights.dtype)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(batch, inputs) -> (batch, units)."""
        self.x = x
        z = self.buffers.get("z", len(x), self.weights.shape[1])  # (batch, units)
        np.dot(x, self.weights, out=z)
        if self.biases is not None:
            z += self.biases
        return z

    def backward(self, error: np.ndarray, input_error: bool = True) -> np.ndarray | None:
        """Fill dL/dW = xᵀ error and dL/db = Σ error; return dL/dx = error Wᵀ: (batch, inputs).

        The first layer's dL/dx is not used: `input_error=False` saves the product.
        """
        np.dot(self.x.T, error, out=self.weight_gradient)  # (inputs, units)
        if self.bias_gradient is not None:
            np.add.reduce(error, axis=0, out=self.bias_gradient)  # (units,)
        if not input_error:
            return None
        return np.dot(error, self.weights.T, out=self.buffers.get("dx", len(error), len(self.weights)))


class Dropout:
    """Training zeroes each unit with probability `rate` and scales the others by 1 / (1 - rate).

    After Srivastava et al. 2014, inverted: the scaling preserves the expected input of the next layer, so that
    prediction needs no change.
    """

    def __init__(self, rate: float, generator: np.random.Generator, dtype: np.dtype | type) -> None:
        self.rate, self.generator = rate, generator
        self.buffers = Buffers(dtype)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(batch, units) -> (batch, units); the identity unless training."""
        if not training:
            return x
        draws = self.buffers.get("draws", *x.shape, np.float32)
        self.generator.random(out=draws, dtype=np.float32)
        keep = np.greater_equal(draws, self.rate, out=self.buffers.get("keep", *x.shape, bool))
        self.mask = np.multiply(keep, 1 / (1 - self.rate), out=self.buffers.get("mask", *x.shape))
        return np.multiply(x, self.mask, out=self.buffers.get("out", *x.shape))

    def backward(self, error: np.ndarray) -> np.ndarray:
        """dL/dx = mask · dL/dout, both (batch, units), in place."""
        error *= self.mask
        return error
