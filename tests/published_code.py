"""A reimplementation of the published code from its report, for comparison."""

from itertools import pairwise

import numpy as np


def published_training(x, y, x_test, y_test, sizes, activation, lr, batch_size, *, epochs, seed=42):
    """Train as the report describes the published code, slowly and literally: loss and accuracy after each epoch.

    Float64, images as columns, no biases, gradients summed, the softmax shifted by the largest logit of the whole
    mini-batch, the same order of the images in every epoch, each test image predicted on its own and appended to the
    array of those before.
    """
    f, slope = {
        "relu": (lambda z: np.where(z > 0, z, 0.0), lambda z: (z > 0).astype(float)),
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    }[activation]
    draw = np.random.RandomState(seed)
    weights = [draw.randn(units, inputs) * np.sqrt(2 / inputs) for inputs, units in pairwise(sizes)]

    def forward(a):  # (inputs, batch)
        sums, activations = [], [a]
        for layer in weights:
            sums.append(layer @ activations[-1])
            activations.append(f(sums[-1]))
        exponentials = np.exp(sums[-1] - np.max(sums[-1]))
        return sums, activations, exponentials / exponentials.sum(axis=0)

    order, figures = np.arange(len(x)), []
    np.random.RandomState(seed).shuffle(order)
    for _ in range(epochs):
        for start in range(0, len(x), batch_size):
            chosen = order[start : start + batch_size]
            sums, activations, p = forward(x[chosen].T.astype(float))
            error = 2 * (p - y[chosen].T) / sizes[-1] * p * (1 - p)  # (classes, batch)
            gradients = []
            for number in reversed(range(len(weights))):
                gradients.append(error @ activations[number].T)
                if number:
                    error = weights[number].T @ error * slope(sums[number - 1])
            weights = [layer - lr * gradient for layer, gradient in zip(weights, gradients[::-1], strict=True)]
        p = np.empty((0, sizes[-1]))  # (images, classes)
        for image in x_test:
            p = np.append(p, forward(image[:, None].astype(float))[2].T, axis=0)
        correct = p.argmax(axis=1) == y_test.argmax(axis=1)
        figures.append((-np.log((p * y_test).sum(axis=1) + 1e-15).mean(), correct.mean()))
    return figures
