"""The network: a sequence of layers, and backpropagation through it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from stages.numpy_net.activations import Activation
from stages.numpy_net.initialisers import draw_weights
from stages.numpy_net.layers import Dense, Dropout


class Network:
    """Dense layers with activations (and dropout) between them; the outputs are the logits of a softmax.

    `architecture`: a list of `{input_nodes, activation}`. The first entry is the input (its activation is ignored),
    the last the softmax output. All weights, then all biases, lie in one flat vector `parameters`, their gradients in
    `gradient`.
    """

    def __init__(
        self,
        architecture: Sequence[Mapping],
        *,
        generator: np.random.Generator | np.random.RandomState,
        initialiser: str = "he",
        bias: bool = True,
        dropout: float = 0.0,
        dropout_generator: np.random.Generator | None = None,
        dtype: np.dtype | type = np.float32,
    ) -> None:
        sizes = [entry["input_nodes"] for entry in architecture]
        names = [entry["activation"] for entry in architecture]
        if len(sizes) < 2 or names[-1] != "softmax":
            raise ValueError("an architecture has an input and, last, an output with activation softmax")
        shapes = list(pairwise(sizes))  # (inputs, units) of each dense layer
        self.sizes = sizes
        self.weight_count = sum(inputs * units for inputs, units in shapes)
        count = self.weight_count + (sum(sizes[1:]) if bias else 0)
        self.parameters = np.zeros(count, dtype)
        self.gradient = np.zeros(count, dtype)

        self.layers: list[Dense | Activation | Dropout] = []
        start, bias_start = 0, self.weight_count
        for (inputs, units), name in zip(shapes, names[1:], strict=True):
            here = slice(start, start + inputs * units)
            bias_here = slice(bias_start, bias_start + units)
            start, bias_start = here.stop, bias_here.stop
            weights = self.parameters[here].reshape(inputs, units)
            weights[:] = draw_weights(initialiser, inputs, units, generator)
            self.layers.append(
                Dense(
                    weights,
                    self.parameters[bias_here] if bias else None,
                    self.gradient[here].reshape(inputs, units),
                    self.gradient[bias_here] if bias else None,
                )
            )
            if name != "softmax":
                self.layers.append(Activation(name, dtype))
                if dropout:
                    self.layers.append(Dropout(dropout, dropout_generator, dtype))

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Images (batch, inputs) -> logits (batch, classes)."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, error: np.ndarray) -> None:
        """dL/dlogits (batch, classes) -> `self.gradient`, with every layer's part."""
        for layer in reversed(self.layers[1:]):
            error = layer.backward(error)
        self.layers[0].backward(error, input_error=False)

    @property
    def weights(self) -> np.ndarray:
        """The weights among `parameters`, without the biases: L2 regularisation applies to them."""
        return self.parameters[: self.weight_count]

    @property
    def weight_gradient(self) -> np.ndarray:
        """The gradient of `weights`."""
        return self.gradient[: self.weight_count]

    @property
    def dense(self) -> list[Dense]:
        """The dense layers, in order."""
        return [layer for layer in self.layers if isinstance(layer, Dense)]
