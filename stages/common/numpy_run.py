"""From a configuration, a seed and the data to a trained NumPy network: what tune and train_numpy share."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from stages.common.datasets import Split, read_normalisation, read_split, read_test, scale
from stages.common.fitting import Fit, fit
from stages.common.params import NumpyTraining
from stages.common.randomness import generators
from stages.common.runs import Run, run_of
from stages.common.schedules import learning_rates
from stages.numpy_net import Network, epochs, evaluate
from stages.numpy_net.augmentation import Augmentation
from stages.numpy_net.losses import CrossEntropy, Published, objective, smooth_labels
from stages.numpy_net.optimisers import optimiser

# What is trained on and what is scored after every epoch, by protocol.
PROTOCOLS = {"validation": ("training", "validation"), "published": ("all_training", "test")}

Ready = tuple[np.ndarray, np.ndarray]  # pixels scaled (n, inputs) and one-hot labels (n, classes), in one precision


# A worker trains many runs on the same data, so it keeps what it has read.
@lru_cache(maxsize=8)
def images_and_labels(path: Path, split: str, pixels: str, precision: str) -> Ready:
    """A split ready for the network, to be trained on or chosen by."""
    return ready(read_split(path, split), path, pixels, precision)


@lru_cache(maxsize=4)
def scoring_images_and_labels(path: Path, pixels: str, precision: str) -> Ready:
    """The test images ready for the network, to be scored."""
    return ready(read_test(path), path, pixels, precision)


def ready(data: Split, path: Path, pixels: str, precision: str) -> Ready:
    """Scale the pixels as configured; the constants are those of the training split."""
    mean, std = read_normalisation(path) if pixels == "standardised" else (None, None)
    return scale(data.images, mean=mean, std=std).astype(precision), data.labels.astype(precision)


def train_run(
    training: NumpyTraining,
    path: Path,
    variant: str,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> tuple[Run, Network]:
    """Train one network on the prepared data set at `path`; score the test images once, when all is over."""
    trained_on, scored = PROTOCOLS[training.protocol]
    form = training.pixels, training.precision
    # The published protocol also scores them after every epoch; by the parameters' rules, nothing is chosen there.
    evaluation = scoring_images_and_labels(path, *form) if scored == "test" else images_and_labels(path, scored, *form)
    images = images_and_labels(path, trained_on, *form)
    loss = objective(training.objective, np.dtype(training.precision))
    *chance, crop = generators(seed, variant, 4)
    augment = augmentation(training, path, crop)
    network, result = fit_network(training, loss, images, evaluation, seed, chance, augment, on_epoch)
    with np.errstate(all="ignore"):  # a diverged network overflows here too
        test_loss, test_accuracy = evaluate(network, loss, *scoring_images_and_labels(path, *form))
    run = run_of(result, variant=variant, seed=seed, split=scored, test_loss=test_loss, test_accuracy=test_accuracy)
    return run, network


def fit_network(
    training: NumpyTraining,
    loss: CrossEntropy | Published,
    images: Ready,
    evaluation: Ready,
    seed: int,
    chance: list[np.random.Generator],
    augment: Augmentation | None,
    on_epoch: Callable[[dict[str, float]], None],
) -> tuple[Network, Fit]:
    """Train one network on `images`, scored on `evaluation` after every epoch: it sees no other image.

    `chance` draws the weights, the order of the images, and dropout.
    """
    x, y = images  # (n, inputs), (n, classes)
    steps = -(-len(x) // training.batch_size)
    initial, order, drop = chance
    if training.protocol == "published":
        # The published code's generator, seeded anew for the weights and for the order of the images.
        initial, order = np.random.RandomState(seed), np.random.RandomState(seed)
    network = Network(
        [layer.model_dump() for layer in training.architecture],
        generator=initial,
        initialiser=training.initialiser,
        bias=training.bias,
        dropout=training.dropout,
        dropout_generator=drop,
        dtype=np.dtype(training.precision),
    )
    rows = epochs(
        network,
        loss,
        optimiser(
            training.optimiser,
            network.parameters,
            momentum=training.momentum,
            weight_decay=training.weight_decay,
        ),
        x,
        smooth_labels(y, training.label_smoothing),
        evaluation=evaluation,
        learning_rates=learning_rates(training.schedule, training.lr, training.epochs, steps, training.warmup),
        batch_size=training.batch_size,
        generator=order,
        mean=training.reduction == "mean",
        reshuffle=training.reshuffle,
        l2=training.l2,
        clip_norm_at=training.clip_norm,
        clip_value_at=training.clip_value,
        augment=augment,
    )
    return network, fit(
        rows,
        y.shape[1],
        keep=network.parameters.copy,
        put_back=partial(np.copyto, network.parameters),
        patience=training.patience,
        on_epoch=on_epoch,
    )


def augmentation(training: NumpyTraining, path: Path, generator: np.random.Generator) -> Augmentation | None:
    """The configured crops and flips, or None where there are none."""
    if not (training.shift or training.flip):
        return None
    mean, std = read_normalisation(path)
    shape = read_split(path, "validation").images.shape[1:]
    black = -mean / std if training.pixels == "standardised" else np.zeros(len(mean))
    return Augmentation(shape, training.shift, training.flip, black, generator)
