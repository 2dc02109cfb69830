"""The perceptron in JAX, for the benchmark: an epoch is one compiled loop. One thread."""

import os
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

os.environ["NPROC"] = "1"  # threads, read at the import

import jax
import jax.numpy as jnp
import numpy as np

Layers = list[tuple[jax.Array, jax.Array]]  # weights (inputs, units) and biases (units,)


def draw(sizes: Sequence[int]) -> Layers:
    """Layers with He's initial weights."""
    keys = jax.random.split(jax.random.key(0), len(sizes) - 1)
    shapes = pairwise(sizes)
    return [
        (jax.random.normal(key, shape) * np.sqrt(2 / shape[0]).astype(np.float32), jnp.zeros(shape[1]))
        for key, shape in zip(keys, shapes, strict=True)
    ]


def loss(layers: Layers, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy of images (batch, inputs) and one-hot labels (batch, classes)."""
    *hidden, (weights, biases) = layers
    for hidden_weights, hidden_biases in hidden:
        x = jax.nn.relu(x @ hidden_weights + hidden_biases)
    return -(y * jax.nn.log_softmax(x @ weights + biases)).sum(axis=1).mean()


@partial(jax.jit, donate_argnums=0)
def train(layers: Layers, images: jax.Array, one_hot: jax.Array, order: jax.Array, lr: float) -> Layers:
    """An epoch of gradient descent; `order` has a row of image numbers for each mini-batch: (steps, batch)."""

    def step(layers: Layers, chosen: jax.Array) -> tuple[Layers, None]:
        gradients = jax.grad(loss)(layers, images[chosen], one_hot[chosen])
        return jax.tree.map(lambda value, gradient: value - lr * gradient, layers, gradients), None

    return jax.lax.scan(step, layers, order)[0]
