"""Small training runs of all three kinds of network on made-up data."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages import train_numpy, train_torch
from stages.numpy_net import predict
from stages.params import CnnTraining, MlpTraining, NumpyTraining
from stages.training.files import write_arrays
from stages.training.results import Run

SHAPE, CLASSES = (28, 28, 1), 10  # the NumPy network's settings must fit Fashion-MNIST
IMAGES, TEST_IMAGES = 120, 40  # every third of the 120 is for validation
COMMON = {
    **{"epochs": 4, "lr": 0.05, "batch_size": 16, "optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0},
    **{"schedule": "constant", "warmup": 0.0, "label_smoothing": 0.0, "patience": None, "pixels": "unit"},
    **{"shift": 0, "flip": False, "precision": "float32"},
}
TORCH = {**COMMON, "cutout": 0, "phases": None, "test_time_flip": False}
SETTINGS = {
    "numpy": {
        **COMMON,
        **{"objective": "cross_entropy", "protocol": "validation", "reduction": "mean", "bias": True, "l2": 0.0},
        **{"reshuffle": True, "initialiser": "he", "dropout": 0.0, "clip_norm": None, "clip_value": None},
        **{"division": "original", "architecture": "784-12-10 relu"},
    },
    "mlp": {
        **TORCH,
        **{"hidden": [12], "activation": "relu", "dropout": 0.0, "dropout_everywhere": False, "batch_norm": False},
        **{"dropout_in_validation": False, "outputs": CLASSES},
    },
    "cnn": {
        **TORCH,
        "stem": 4,
        "widths": [6, 8],
        "activation": "relu",
        "logit_scale": 0.5,
        "early_share": 0.0,
        "early_size": 1.0,
    },
}
KINDS = tuple(SETTINGS)
# Everything that draws random numbers or has state, and early stopping.
COMPLEX = {"shift": 1, "flip": True, "pixels": "standardised", "patience": 2, "epochs": 12, "label_smoothing": 0.1}
EVERYTHING = {
    "numpy": {**COMPLEX, "dropout": 0.2, "optimiser": "adamw", "weight_decay": 0.01, "lr": 0.01},
    "mlp": {**COMPLEX, "cutout": 2, "dropout": 0.2, "batch_norm": True, "test_time_flip": True},
    "cnn": {
        **COMPLEX,
        "early_share": 0.5,
        "early_size": 0.7,
        "cutout": 2,
        "optimiser": "nesterov",
        "momentum": 0.9,
        "schedule": "one_cycle",
        "warmup": 0.3,
    },
}


@dataclass(frozen=True)
class Trained:
    """A run, all weights of its network as bytes, the network, and its probabilities of the test images."""

    run: Run
    weights: bytes
    network: Any
    probabilities: np.ndarray


def prepared(path: Path, **changes: np.ndarray) -> Path:
    """Write a prepared data set: a pattern for each class under noise. Runs cache by path, so each has its own file."""
    assert not path.exists()
    rng = np.random.default_rng(0)
    coarse = np.random.default_rng(1).uniform(0, 255, (CLASSES, 7, 7, 1))
    patterns = coarse.repeat(4, axis=1).repeat(4, axis=2)  # (classes, *SHAPE)
    content = {}
    for part, labels in (("train", np.arange(IMAGES) // 3 % CLASSES), ("test", np.arange(TEST_IMAGES) % CLASSES)):
        noise = rng.normal(0, 60, (len(labels), *SHAPE))
        content[f"{part}_images"] = (patterns[labels] + noise).clip(0, 255).astype(np.uint8)
        content[f"{part}_labels"] = np.eye(CLASSES, dtype=np.uint8)[labels]
    content |= {"validation_index": np.arange(0, IMAGES, 3), "mean": np.array([0.5]), "std": np.array([0.25])}
    write_arrays(path, {**content, "class_names": np.array(list("abcdefghij")), **changes})
    return path


def settings(kind: str, **changes: Any) -> NumpyTraining | MlpTraining | CnnTraining:
    """Settings of a small network, checked like those of params.yaml."""
    model = {"numpy": NumpyTraining, "mlp": MlpTraining, "cnn": CnnTraining}[kind]
    return model(**{**SETTINGS[kind], **changes})


def train(
    kind: str,
    data: Path,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    seed: int = 1,
    **changes: Any,
) -> Trained:
    """Train a small network on a prepared data set."""
    training = settings(kind, **changes)
    if kind == "numpy":
        run, network = train_numpy.train_run(training, data, seed, on_epoch)
        images, _ = train_numpy.test_arrays(data, training.pixels, training.precision)
        with np.errstate(all="ignore"):
            return Trained(run, network.parameters.tobytes(), network, predict(network, images))
    run, model, probabilities = train_torch.train_run(training, data, seed, on_epoch)
    weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return Trained(run, weights, model, probabilities)
