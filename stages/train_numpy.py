"""Train the final NumPy network, score it once on the test images, and write what the report needs.

`train_run` goes from parameters to a trained network; stages/tune.py uses it too.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from stages.errors import exit_on_error
from stages.numpy_net import Network, build, evaluate, predict, train
from stages.numpy_net.augmentation import Augmentation
from stages.numpy_net.clipping import clip_norm, clip_value
from stages.numpy_net.losses import CrossEntropy, smooth_labels
from stages.numpy_net.optimisers import optimiser
from stages.numpy_net.published import Published
from stages.params import NumpyTraining, load_params
from stages.training.files import write_arrays, write_json
from stages.training.final_model import write_final_model
from stages.training.fitting import Fit, fit
from stages.training.live import epoch_display
from stages.training.prepared import (
    Split,
    read_class_names,
    read_normalisation,
    read_split,
    read_test,
    redivide,
    scale,
    scored_index,
)
from stages.training.randomness import generator
from stages.training.results import Run, run_of
from stages.training.schedules import learning_rates
from stages.training.sweep import Task

PREPARED = Path("data/prepared")
MODEL = Path("data/models/numpy.npz")
REPORTS = Path("reports/train_numpy")
# What is trained on, and what is scored after every epoch, by protocol.
PROTOCOLS = {"validation": ("training", "validation"), "published": ("all_training", "test")}
OBJECTIVES = {"cross_entropy": CrossEntropy, "published": Published}

Arrays = tuple[np.ndarray, np.ndarray]  # scaled pixels (n, inputs) and one-hot labels (n, classes)


def train_run(
    training: NumpyTraining,
    data: Path,
    seed: int,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> tuple[Run, Network]:
    """Train one network on the prepared data set `data`, then score the test images."""
    trained_on, scored = PROTOCOLS[training.protocol]
    if training.division == "random":
        parts = redivide(data, generator(seed, "division"))
        images, test = (as_arrays(part, data, training.pixels, training.precision) for part in parts)
    else:
        images = arrays(data, trained_on, training.pixels, training.precision)
        test = test_arrays(data, training.pixels, training.precision)
    # The published protocol also scores the test images after every epoch; the schema forbids early stopping by them.
    evaluation = test if scored == "test" else arrays(data, scored, training.pixels, training.precision)
    augment = augmentation(training, data, generator(seed, "augmentation"))
    loss = OBJECTIVES[training.objective](training.reduction)
    with np.errstate(all="ignore"):  # a diverged network overflows
        network, result = fit_network(training, loss, images, evaluation, seed, augment, on_epoch)
        test_loss, test_accuracy = evaluate(network, loss, *test)
    return run_of(result, split=scored, test_loss=test_loss, test_accuracy=test_accuracy), network


def train_task(task: Task) -> Run:
    """Train one run of a sweep."""
    return train_run(task.training, task.data, task.seed)[0]


def cost(training: NumpyTraining) -> float:
    """Roughly how long a training takes, so that a sweep starts the longest first: multiplications and steps."""
    weights = sum(before.input_nodes * after.input_nodes for before, after in pairwise(training.architecture))
    width = 2 if training.precision == "float64" else 1
    return training.epochs * width * (weights + (400_000 + 10 * weights) / training.batch_size)


# A worker trains many runs on the same data, so it caches what it has read.
@lru_cache(maxsize=8)
def arrays(data: Path, split: str, pixels: str, precision: str) -> Arrays:
    """A split for training or model selection."""
    return as_arrays(read_split(data, split), data, pixels, precision)


@lru_cache(maxsize=4)
def test_arrays(data: Path, pixels: str, precision: str) -> Arrays:
    """The test images, to be scored."""
    return as_arrays(read_test(data), data, pixels, precision)


def as_arrays(split: Split, data: Path, pixels: str, precision: str) -> Arrays:
    """Pixels scaled as configured, by the constants of the training split."""
    mean, std = read_normalisation(data) if pixels == "standardised" else (None, None)
    return scale(split.images, mean=mean, std=std).astype(precision), split.labels.astype(precision)


def fit_network(
    training: NumpyTraining,
    loss: CrossEntropy | Published,
    images: Arrays,
    evaluation: Arrays,
    seed: int,
    augment: Augmentation | None,
    on_epoch: Callable[[dict[str, float]], None],
) -> tuple[Network, Fit]:
    """Train a network on `images`, scored on `evaluation` after every epoch: it sees no other image."""
    x, y = images  # (n, inputs), (n, classes)
    weights_rng, order_rng = generator(seed, "weights"), generator(seed, "order")
    if training.protocol == "published":
        # The published code seeds NumPy's legacy generator for the weights, and again for the order of the images.
        weights_rng, order_rng = np.random.RandomState(seed), np.random.RandomState(seed)
    network = build(
        [layer.model_dump() for layer in training.architecture],
        weights_rng,
        initialiser=training.initialiser,
        bias=training.bias,
        dropout=training.dropout,
        dropout_rng=generator(seed, "dropout"),
        dtype=np.dtype(training.precision),
    )
    steps = -(-len(x) // training.batch_size)

    def clip(gradient: np.ndarray) -> None:
        if training.clip_norm is not None:
            clip_norm(gradient, training.clip_norm)
        if training.clip_value is not None:
            clip_value(gradient, training.clip_value)

    epochs = train(
        network,
        loss,
        optimiser(
            training.optimiser, network.parameters, momentum=training.momentum, weight_decay=training.weight_decay
        ),
        x,
        smooth_labels(y, training.label_smoothing),
        learning_rates=learning_rates(training.schedule, training.lr, training.epochs, steps, training.warmup),
        batch_size=training.batch_size,
        rng=order_rng,
        reshuffle=training.reshuffle,
        l2=training.l2,
        clip=clip,
        augment=augment,
    )
    sample = scored_index(len(x))
    training_sample = x[sample], y[sample]

    def rows() -> Iterator[dict[str, float]]:
        for epoch in epochs:
            train_loss, train_accuracy = evaluate(network, loss, *training_sample)
            evaluation_loss, accuracy = evaluate(network, loss, *evaluation)
            yield {
                "epoch": epoch,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "loss": evaluation_loss,
                "accuracy": accuracy,
            }

    return network, fit(
        rows(),
        y.shape[1],
        snapshot=network.parameters.copy,
        restore=partial(np.copyto, network.parameters),
        patience=training.patience,
        on_epoch=on_epoch,
    )


def augmentation(training: NumpyTraining, data: Path, rng: np.random.Generator) -> Augmentation | None:
    """The configured crops and flips, if any."""
    if not (training.shift or training.flip):
        return None
    mean, std = read_normalisation(data)
    shape = read_split(data, "validation").images.shape[1:]
    black = -mean / std if training.pixels == "standardised" else np.zeros(len(mean))
    return Augmentation(shape, training.shift, training.flip, black, rng)


def save_weights(network: Network, path: Path) -> None:
    """Write weights (inputs, units) and biases (units,) of each dense layer; the same weights give the same bytes."""
    layers = {}
    for number, layer in enumerate(network.dense, start=1):
        layers[f"weights_{number}"] = layer.weights
        if layer.biases is not None:
            layers[f"biases_{number}"] = layer.biases
    write_arrays(path, layers)


def main(arguments: list[str]) -> None:
    """`python -m stages.train_numpy`."""
    params = load_params()
    training, data = params.train_numpy, PREPARED / f"{params.numpy_dataset}.npz"
    names = read_class_names(data)
    split = PROTOCOLS[training.protocol][1]
    with epoch_display("train_numpy", training.epochs, REPORTS, split) as show_epoch, threadpool_limits(1):
        run, network = train_run(training, data, params.seed, show_epoch)
        images, _ = test_arrays(data, training.pixels, training.precision)
        with np.errstate(all="ignore"):
            probabilities = predict(network, images)  # (n, classes)
    save_weights(network, MODEL)
    write_json(MODEL.with_suffix(".json"), {"seed": params.seed, **training.model_dump()})
    used = {"precision": training.precision, "device": "cpu", "threads": 1}
    write_final_model(REPORTS, run, read_test(data).labels, probabilities, names, **used)


if __name__ == "__main__":
    exit_on_error(main)
