"""The published network as its description reads, slow and literal: columns, per-sample evaluation, no shared code."""

from itertools import pairwise

import numpy as np


def relu(z):
    return np.where(z > 0, z, 0.0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


SLOPE = {
    "relu": lambda z: (z > 0).astype(float),
    "sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z)),
}
FORWARD = {"relu": relu, "sigmoid": sigmoid}


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / e.sum(axis=0, keepdims=True)


def published_training(x, y, x_test, y_test, *, sizes, activation, lr, batch_size, epochs, seed=42):
    """Pixels (n, inputs) float32 and one-hot labels (n, classes) -> a list of (accuracy, loss), one an epoch."""
    draw = np.random.RandomState(seed)
    weights = [draw.randn(outputs, inputs) * np.sqrt(2 / inputs) for inputs, outputs in pairwise(sizes)]

    def forward(columns):
        zs, activations = [], [columns]
        for number, w in enumerate(weights):
            zs.append(w @ activations[-1])
            last = number == len(weights) - 1
            activations.append(softmax(zs[-1]) if last else FORWARD[activation](zs[-1]))
        return zs, activations

    history = []
    for _ in range(epochs):
        order = np.arange(len(x))
        np.random.RandomState(seed).shuffle(order)
        for start in range(0, len(x), batch_size):
            chosen = order[start : start + batch_size]
            zs, activations = forward(x[chosen].T)
            p = activations[-1]
            error = 2 * (p - y[chosen].T) / 10 * p * (1 - p)
            steps = []
            for number in reversed(range(len(weights))):
                steps.append((number, error @ activations[number].T))
                if number:
                    error = (weights[number].T @ error) * SLOPE[activation](zs[number - 1])
            for number, step in steps:
                weights[number] = weights[number] - lr * step
        outputs = [forward(image[:, None])[1][-1][:, 0] for image in x_test]
        correct = [np.argmax(p) == np.argmax(label) for p, label in zip(outputs, y_test, strict=True)]
        losses = [-np.log(p[np.argmax(label)] + 1e-15) for p, label in zip(outputs, y_test, strict=True)]
        history.append((np.mean(correct), np.mean(losses)))
    return history
