"""The network: a sequence of layers, and backpropagation through it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from stages.numpy_net.activations import Activation
from stages.numpy_net.layers import Dense, Dropout

Layer = Dense | Activation | Dropout


class Network:
    """Layers in sequence, the first of them dense; the outputs are the logits of a softmax.

    All weights, then all biases, lie in one flat vector `parameters`, their gradients in `gradient`, so that an
    optimiser updates all layers at once: the layers' own arrays become views of them. `weights` and `weight_gradient`
    are the parts without the biases.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers
        self.dense = [layer for layer in layers if isinstance(layer, Dense)]
        biased = [layer for layer in self.dense if layer.biases is not None]
        arrays = [layer.weights for layer in self.dense] + [layer.biases for layer in biased]
        self.parameters = np.concatenate([array.ravel() for array in arrays])
        self.gradient = np.zeros_like(self.parameters)
        views = zip(split_like(self.parameters, arrays), split_like(self.gradient, arrays), strict=True)
        for layer in self.dense:
            layer.weights, layer.weight_gradient = next(views)
        for layer in biased:
            layer.biases, layer.bias_gradient = next(views)
        count = sum(layer.weights.size for layer in self.dense)
        self.weights, self.weight_gradient = self.parameters[:count], self.gradient[:count]

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


def split_like(flat: np.ndarray, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Views of the vector `flat`, one after the other, in the shapes of `arrays`."""
    ends = np.cumsum([array.size for array in arrays])
    return [part.reshape(array.shape) for part, array in zip(np.split(flat, ends[:-1]), arrays, strict=True)]


def build(
    architecture: Sequence[Mapping],
    rng: np.random.Generator | np.random.RandomState,
    *,
    initialiser: str = "he",
    bias: bool = True,
    dropout: float = 0.0,
    dropout_rng: np.random.Generator | None = None,
    dtype: np.dtype | type = np.float32,
) -> Network:
    """Dense layers with activations (and dropout) between them.

    `architecture`: a list of `{input_nodes, activation}`, as in the published report. The first entry is the input (its
    activation is ignored), the last the softmax output.
    """
    layers: list[Layer] = []
    for before, after in pairwise(architecture):
        inputs, units = before["input_nodes"], after["input_nodes"]
        layers.append(Dense(inputs, units, rng, initialiser=initialiser, bias=bias, dtype=dtype))
        if after["activation"] != "softmax":
            layers.append(Activation(after["activation"]))
            if dropout:
                layers.append(Dropout(dropout, dropout_rng))
    return Network(layers)
