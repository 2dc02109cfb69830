"""Training: mini-batches and epochs. The caller decides when to stop."""

from collections.abc import Callable, Iterator

import numpy as np

from stages.numpy_net.clipping import clip_norm, clip_value
from stages.numpy_net.losses import CrossEntropy, Published
from stages.numpy_net.network import Network
from stages.numpy_net.optimisers import Optimiser

EVALUATION_BATCH = 1000


def epochs(
    network: Network,
    loss: CrossEntropy | Published,
    optimiser: Optimiser,
    images: np.ndarray,
    targets: np.ndarray,
    *,
    evaluation: tuple[np.ndarray, np.ndarray],
    learning_rates: np.ndarray,
    batch_size: int,
    generator: np.random.Generator | np.random.RandomState,
    mean: bool = True,
    reshuffle: bool = True,
    l2: float = 0.0,
    clip_norm_at: float | None = None,
    clip_value_at: float | None = None,
    augment: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Iterator[dict[str, float]]:
    """Train `network` in place by mini-batch gradient descent; yield a row after every epoch.

    A row holds epoch (from 1), train_loss (the mean over the mini-batches' images, before each step), loss and accuracy
    (on `evaluation`).

    `images`: (n, inputs) in the network's dtype; `targets`: (n, classes), summing to 1. `evaluation`: images and
    one-hot labels scored after every epoch. `learning_rates`: (epochs, steps), one for each mini-batch. `generator`
    draws the order of the images: every epoch with `reshuffle`, else once. `mean=False` sums the gradient over the
    mini-batch instead of averaging it. `l2` adds l2/2 · Σ w² to the objective (not to the reported losses).
    """
    weights_sized = np.empty_like(network.weights) if l2 else None  # L2's part of the gradient

    def step(x: np.ndarray, y: np.ndarray, lr: float) -> np.ndarray:
        """Forward, backward, update on one mini-batch (batch, inputs), (batch, classes); return its losses (batch,)."""
        # The gradient is multiplied by this, and so must be all that is added to it or compared with it.
        scale = lr if optimiser.folds_lr else 1.0
        losses = loss.forward(network.forward(x, training=True), y)
        network.backward(loss.backward(scale / len(x) if mean else scale))
        if l2:
            shrinkage = np.multiply(network.weights, l2 * scale, out=weights_sized)
            np.add(network.weight_gradient, shrinkage, out=network.weight_gradient)
        if clip_norm_at is not None:
            clip_norm(network.gradient, clip_norm_at * scale)
        if clip_value_at is not None:
            clip_value(network.gradient, clip_value_at * scale)
        optimiser.step(network.parameters, network.gradient, lr)
        return losses

    for epoch, rates in enumerate(learning_rates, start=1):
        # Overflow is a result here, not a warning. Between epochs the caller's settings hold.
        with np.errstate(all="ignore"):
            if reshuffle or epoch == 1:
                order = generator.permutation(len(images))
            train_loss = one_epoch(step, images, targets, order, rates, batch_size, augment)
            evaluation_loss, accuracy = evaluate(network, loss, *evaluation)
        yield {"epoch": epoch, "train_loss": train_loss, "loss": evaluation_loss, "accuracy": accuracy}


def one_epoch(
    step: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
    images: np.ndarray,
    targets: np.ndarray,
    order: np.ndarray,
    learning_rates: np.ndarray,
    batch_size: int,
    augment: Callable[[np.ndarray], np.ndarray] | None,
) -> float:
    """Take a step for each mini-batch of `order`; return the mean loss of the images, each before its step."""
    x_batch = np.empty((batch_size, images.shape[1]), images.dtype)
    y_batch = np.empty((batch_size, targets.shape[1]), images.dtype)
    losses = np.empty(len(images))
    # Python's floats, unlike NumPy's, leave float32 arrays in float32.
    for start, lr in zip(range(0, len(images), batch_size), learning_rates.tolist(), strict=True):
        chosen = order[start : start + batch_size]
        # "clip" avoids a bounds check that would buffer the output; a permutation is within bounds.
        x = images.take(chosen, axis=0, out=x_batch[: len(chosen)], mode="clip")  # (batch, inputs)
        y = targets.take(chosen, axis=0, out=y_batch[: len(chosen)], mode="clip")  # (batch, classes)
        losses[start : start + batch_size] = step(x if augment is None else augment(x), y, lr)
    return float(losses.mean())


def evaluate(
    network: Network, loss: CrossEntropy | Published, images: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """Mean loss and accuracy on images (n, inputs) with one-hot labels (n, classes)."""
    losses, correct = np.empty(len(images)), 0
    for start in range(0, len(images), EVALUATION_BATCH):
        here = slice(start, start + EVALUATION_BATCH)
        logits = network.forward(images[here])  # (batch, classes)
        losses[here] = loss.evaluate(logits, labels[here])
        correct += int(np.sum(logits.argmax(axis=1) == labels[here].argmax(axis=1)))
    return float(losses.mean()), correct / len(images)


def predict(network: Network, images: np.ndarray) -> np.ndarray:
    """Class probabilities of images (n, inputs): (n, classes)."""
    probabilities = np.empty((len(images), network.sizes[-1]), images.dtype)
    for start in range(0, len(images), EVALUATION_BATCH):
        here = slice(start, start + EVALUATION_BATCH)
        logits = network.forward(images[here])
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities[here] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities
