"""Contestant: the published network written as its description reads, slow and literal.

Float64, images as columns, gradients summed, the softmax shifted by the largest logit of the whole mini-batch, the same
order of the images every epoch, and each test image predicted on its own. It shares no code with the network from
scratch, so that the tests can hold the one against the other.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

SEED = 42
EPSILON = 1e-15
LR = 0.001


def first_weights(sizes: Sequence[int]) -> list[np.ndarray]:
    """Each layer's weights, float64 (units, inputs), from NumPy's legacy generator."""
    draw = np.random.RandomState(SEED)
    return [draw.randn(units, inputs) * np.sqrt(2 / inputs) for inputs, units in pairwise(sizes)]


def relu(z: np.ndarray) -> np.ndarray:
    """max(z, 0)."""
    return np.where(z > 0, z, 0.0)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {"relu": relu, "sigmoid": sigmoid}
SLOPES = {"relu": lambda z: (z > 0).astype(float), "sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z))}


def softmax(z: np.ndarray) -> np.ndarray:
    """Logits (classes, batch) to probabilities, shifted by the maximum of the whole matrix."""
    exponentials = np.exp(z - np.max(z))
    return exponentials / exponentials.sum(axis=0, keepdims=True)


def forward(
    weights: Sequence[np.ndarray], columns: np.ndarray, activation: str = "relu"
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images (inputs, batch) to every layer's weighted sums, and to its activations, the images themselves first."""
    sums, activations = [], [columns]
    for layer in weights:
        sums.append(layer @ activations[-1])
        last = len(sums) == len(weights)
        activations.append(softmax(sums[-1]) if last else ACTIVATIONS[activation](sums[-1]))
    return sums, activations


def gradients(
    weights: Sequence[np.ndarray], columns: np.ndarray, one_hot: np.ndarray, activation: str = "relu"
) -> list[np.ndarray]:
    """Every layer's gradient, summed over the mini-batch; `one_hot`: (classes, batch)."""
    sums, activations = forward(weights, columns, activation)
    p = activations[-1]
    error = 2 * (p - one_hot) / len(one_hot) * p * (1 - p)  # (classes, batch)
    found = []
    for number in reversed(range(len(weights))):
        found.append(error @ activations[number].T)
        if number:
            error = (weights[number].T @ error) * SLOPES[activation](sums[number - 1])
    return found[::-1]


def train_epoch(
    weights: list[np.ndarray],
    pixels: np.ndarray,
    one_hot: np.ndarray,
    batch_size: int,
    lr: float = LR,
    activation: str = "relu",
) -> None:
    """One epoch on images (n, inputs) with labels (n, classes): replaces `weights`, one after the other."""
    order = np.arange(len(pixels))
    np.random.RandomState(SEED).shuffle(order)
    for start in range(0, len(pixels), batch_size):
        chosen = order[start : start + batch_size]
        steps = gradients(weights, pixels[chosen].T, one_hot[chosen].T, activation)
        for number, step in enumerate(steps):
            weights[number] = weights[number] - lr * step


def evaluate(
    weights: Sequence[np.ndarray], pixels: np.ndarray, one_hot: np.ndarray, activation: str = "relu"
) -> tuple[float, float]:
    """Accuracy and mean loss on images (n, inputs) with labels (n, classes), one image at a time."""
    correct, losses = [], []
    for image, label in zip(pixels, one_hot, strict=True):
        p = forward(weights, image[:, None], activation)[1][-1][:, 0]  # (classes,)
        correct.append(np.argmax(p) == np.argmax(label))
        losses.append(-np.log(p[np.argmax(label)] + EPSILON))
    return float(np.mean(correct)), float(np.mean(losses))
