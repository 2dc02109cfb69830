"""Dense and dropout layers, each with its forward and backward pass."""

import numpy as np

from stages.numpy_net.initialisers import INITIALISERS


class Dense:
    """z = x W + b, with weights W (inputs, units) and biases b (units,), or None with `bias=False`.

    `weight_gradient` and `bias_gradient` have the same shapes.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        rng: np.random.Generator | np.random.RandomState,
        *,
        initialiser: str = "he",
        bias: bool = True,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        # Drawn unit by unit, as in the published code, so that NumPy's legacy generator gives the same weights.
        weights = (rng.standard_normal((units, inputs)) * INITIALISERS[initialiser](inputs, units)).T
        self.weights = weights.astype(dtype, order="C")  # (inputs, units)
        self.biases = np.zeros(units, dtype) if bias else None
        self.weight_gradient = np.zeros_like(self.weights)
        self.bias_gradient = np.zeros_like(self.biases) if bias else None

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(batch, inputs) -> (batch, units)."""
        self.x = x
        z = np.dot(x, self.weights)  # (batch, units)
        return z if self.biases is None else z + self.biases

    def backward(self, error: np.ndarray, input_error: bool = True) -> np.ndarray | None:
        """dL/dz (batch, units) -> dL/dx = error Wᵀ (batch, inputs); sets dL/dW = xᵀ error and dL/db = Σ error.

        The first layer's dL/dx is not used: `input_error=False` skips the product.
        """
        np.dot(self.x.T, error, out=self.weight_gradient)  # (inputs, units)
        if self.biases is not None:
            np.sum(error, axis=0, out=self.bias_gradient)  # (units,)
        return np.dot(error, self.weights.T) if input_error else None


class Dropout:
    """Training zeroes each unit with probability `rate` and divides the others by 1 - rate.

    After Srivastava et al. 2014, inverted: the division preserves the expected input of the next layer, so that
    prediction needs no change.
    """

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        self.rate, self.rng = rate, rng

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(batch, units) -> (batch, units); the identity unless training."""
        if not training:
            return x
        self.keep = self.rng.random(x.shape, dtype=np.float32) >= self.rate
        return x * self.keep / (1 - self.rate)

    def backward(self, error: np.ndarray) -> np.ndarray:
        """dL/dout -> dL/dx, both (batch, units), for the units that the last training pass kept."""
        return error * self.keep / (1 - self.rate)
