"""Training: mini-batches and epochs. The caller decides when to stop."""

from collections.abc import Callable, Iterator

import numpy as np

from stages.numpy_net.losses import CrossEntropy, softmax
from stages.numpy_net.network import Network
from stages.numpy_net.optimisers import Optimiser
from stages.numpy_net.published import Published

EVALUATION_BATCH = 1000


def train(
    network: Network,
    loss: CrossEntropy | Published,
    optimiser: Optimiser,
    images: np.ndarray,
    targets: np.ndarray,
    *,
    learning_rates: np.ndarray,
    batch_size: int,
    rng: np.random.Generator | np.random.RandomState,
    reshuffle: bool = True,
    l2: float = 0.0,
    clip: Callable[[np.ndarray], None] | None = None,
    augment: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Iterator[int]:
    """Train `network` in place by mini-batch gradient descent; yield the epoch's number, from 1, after each.

    `images`: (n, inputs) in the network's dtype; `targets`: (n, classes), summing to 1. `learning_rates`: (epochs,
    steps), one for each mini-batch. `rng` draws the order of the images: every epoch with `reshuffle`, else once. `l2`
    adds l2/2 · Σ w² to the loss. `clip` changes a gradient in place; `augment`, images (batch, inputs) to others.
    """
    order = rng.permutation(len(images))
    # Python's floats, unlike NumPy's, leave float32 arrays in float32.
    for epoch, rates in enumerate(learning_rates.tolist(), start=1):
        if reshuffle and epoch > 1:
            order = rng.permutation(len(images))
        for start, lr in zip(range(0, len(images), batch_size), rates, strict=True):
            chosen = order[start : start + batch_size]  # (batch,)
            x, y = images.take(chosen, axis=0), targets.take(chosen, axis=0)  # (batch, inputs), (batch, classes)
            if augment is not None:
                x = augment(x)
            loss.forward(network.forward(x, training=True), y)
            network.backward(loss.backward())
            if l2:
                network.weight_gradient += l2 * network.weights
            if clip is not None:
                clip(network.gradient)
            optimiser.step(network.parameters, network.gradient, lr)
        yield epoch


def evaluate(
    network: Network, loss: CrossEntropy | Published, images: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Mean loss and accuracy on images (n, inputs) with one-hot labels (n, classes)."""
    logits = forward_in_batches(network, images)
    losses = loss.evaluate(logits, labels)  # (n,)
    correct = logits.argmax(axis=1) == labels.argmax(axis=1)  # (n,)
    return float(losses.mean(dtype=np.float64)), float(correct.mean())


def predict(network: Network, images: np.ndarray) -> np.ndarray:
    """Class probabilities of images (n, inputs): (n, classes)."""
    return softmax(forward_in_batches(network, images))


def forward_in_batches(network: Network, images: np.ndarray) -> np.ndarray:
    """Logits (n, classes) of images (n, inputs), a batch at a time to save memory."""
    starts = range(0, len(images), EVALUATION_BATCH)
    return np.concatenate([network.forward(images[start : start + EVALUATION_BATCH]) for start in starts])
