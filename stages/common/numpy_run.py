"""From a configuration, a seed and the data to a trained NumPy network: what tune and train_numpy share."""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from stages.common.datasets import Split, read_normalisation, read_split, scale
from stages.common.fitting import fit
from stages.common.params import NumpyTraining
from stages.common.randomness import generators
from stages.common.runs import Run, run_of
from stages.common.schedules import learning_rates
from stages.numpy_net import Network, epochs, evaluate
from stages.numpy_net.augmentation import Augmentation
from stages.numpy_net.losses import objective, smooth_labels
from stages.numpy_net.optimisers import optimiser

# What is trained on and what is scored after every epoch, by protocol.
PROTOCOLS = {"validation": ("training", "validation"), "published": ("all_training", "test")}


@lru_cache(maxsize=8)
def images_and_labels(path: Path, split: str, pixels: str, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """A split ready for the network: pixels scaled (n, inputs) and one-hot labels (n, classes), both in `precision`.

    A worker trains many runs on the same data, so it keeps what it has read.
    """
    data: Split = read_split(path, split)
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
    x, y = images_and_labels(path, trained_on, training.pixels, training.precision)
    steps = -(-len(x) // training.batch_size)
    initial, order, drop, crop = generators(seed, variant, 4)
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
    loss = objective(training.objective, network.parameters.dtype)
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
        evaluation=images_and_labels(path, scored, training.pixels, training.precision),
        learning_rates=learning_rates(training.schedule, training.lr, training.epochs, steps, training.warmup),
        batch_size=training.batch_size,
        generator=order,
        mean=training.reduction == "mean",
        reshuffle=training.reshuffle,
        l2=training.l2,
        clip_norm_at=training.clip_norm,
        clip_value_at=training.clip_value,
        augment=augmentation(training, path, crop),
    )
    result = fit(
        rows,
        y.shape[1],
        keep=network.parameters.copy,
        put_back=partial(np.copyto, network.parameters),
        patience=training.patience,
        on_epoch=on_epoch,
    )
    with np.errstate(all="ignore"):  # a diverged network overflows here too
        test_loss, test_accuracy = evaluate(
            network, loss, *images_and_labels(path, "test", training.pixels, training.precision)
        )
    run = run_of(result, variant=variant, seed=seed, split=scored, test_loss=test_loss, test_accuracy=test_accuracy)
    return run, network


def augmentation(training: NumpyTraining, path: Path, generator: np.random.Generator) -> Augmentation | None:
    """The configured crops and flips, or None where there are none."""
    if not (training.shift or training.flip):
        return None
    mean, std = read_normalisation(path)
    shape = read_split(path, "validation").images.shape[1:]
    black = -mean / std if training.pixels == "standardised" else np.zeros(len(mean))
    return Augmentation(shape, training.shift, training.flip, black, generator)
