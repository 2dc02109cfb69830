"""Whole runs in miniature of the three kinds of network, on prepared data made up for the purpose.

What must hold of training, whatever trains, is tested on all of them by the same lines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stages.common import numpy_run, torch_run
from stages.common.arrays import write_arrays
from stages.common.mlps import build_mlp
from stages.common.numpy_params import NumpyTraining
from stages.common.residual import build_cnn
from stages.common.runs import Run
from stages.common.torch_params import CnnTraining, MlpTraining
from stages.numpy_net import predict

SHAPE, CLASSES = (28, 28, 1), 10
NAMES = tuple("abcdefghij")
INPUTS = 784
IMAGES, EVERY, TEST = 120, 3, 40  # training images, every which one of them is for validation, test images
PLAIN = {"epochs": 4, "lr": 0.05, "batch_size": 16, "optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0}
PLAIN |= {"schedule": "constant", "warmup": 0.0, "label_smoothing": 0.0, "patience": None, "pixels": "unit"}
PLAIN |= {"shift": 0, "flip": False, "precision": "float32"}
OF_NUMPY = {"objective": "cross_entropy", "protocol": "validation", "reduction": "mean", "bias": True}
OF_NUMPY |= {"reshuffle": True, "initialiser": "he", "l2": 0.0, "dropout": 0.0, "clip_norm": None, "clip_value": None}
OF_NUMPY |= {
    "architecture": [
        {"input_nodes": INPUTS, "activation": "relu"},
        {"input_nodes": 12, "activation": "relu"},
        {"input_nodes": CLASSES, "activation": "softmax"},
    ]
}
OF_TORCH = {"cutout": 0, "phases": None, "test_time_flip": False}
OF_MLP = {"hidden": [12], "activation": "relu", "dropout": 0.0, "dropout_everywhere": False, "batch_norm": False}
OF_MLP |= {"outputs": CLASSES}
OF_CNN = {"seed": 1, "stem": 4, "widths": [6, 8], "activation": "relu", "logit_scale": 0.5}
# All that draws random numbers, and early stopping.
EVERYTHING = {
    "numpy": {"shift": 1, "flip": True, "pixels": "standardised", "dropout": 0.2, "patience": 2, "epochs": 12},
    "mlp": {
        **{"shift": 1, "flip": True, "cutout": 2, "pixels": "standardised", "dropout": 0.2, "batch_norm": True},
        **{"patience": 2, "epochs": 12, "test_time_flip": True},
    },
    "cnn": {"shift": 1, "flip": True, "cutout": 2, "pixels": "standardised", "patience": 2, "epochs": 12},
}
KINDS = tuple(EVERYTHING)


def arrays(seed: int = 0, *, images: int = IMAGES, test: int = TEST, noise: float = 60) -> dict[str, np.ndarray]:
    """What a prepared file holds: a pattern for each class under noise, the classes taking turns."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(1).uniform(60, 200, (CLASSES, *SHAPE))

    def draw(labels: np.ndarray) -> np.ndarray:
        return (patterns[labels] + rng.normal(0, noise, (len(labels), *SHAPE))).clip(0, 255).astype(np.uint8)

    # Each class comes three times in a row, and the first of the three is for validation.
    labels, test_labels = np.arange(images) // EVERY % CLASSES, np.arange(test) % CLASSES
    return {
        "train_images": draw(labels),
        "train_labels": one_hot(labels),
        "test_images": draw(test_labels),
        "test_labels": one_hot(test_labels),
        "validation_index": np.arange(0, images, EVERY),
        "mean": np.array([0.5]),
        "std": np.array([0.25]),
        "class_names": np.array(NAMES),
    }


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Class numbers (n,) to uint8 (n, classes)."""
    return np.eye(CLASSES, dtype=np.uint8)[labels]


def write(path: Path, content: dict[str, np.ndarray]) -> Path:
    """Write a prepared file as the pipeline does. What a run has read is kept by its path: never write one anew."""
    assert not path.exists()
    write_arrays(path, content)
    return path


@dataclass(frozen=True)
class Trained:
    """A run, all weights of its network as bytes, the network, and its probabilities of the test images."""

    run: Run
    weights: bytes
    network: Any
    probabilities: np.ndarray


def configured(kind: str, **changes: Any) -> NumpyTraining | MlpTraining | CnnTraining:
    """Settings of a small network, checked as those of params.yaml are."""
    if kind == "numpy":
        return NumpyTraining(**{**PLAIN, **OF_NUMPY, **changes})
    if kind == "mlp":
        return MlpTraining(**{**PLAIN, **OF_TORCH, **OF_MLP, **changes})
    return CnnTraining(**{**PLAIN, **OF_TORCH, **OF_CNN, **changes})


def builder(training: MlpTraining | CnnTraining) -> torch_run.Build:
    """What makes the PyTorch network that is configured."""
    return partial(build_mlp if isinstance(training, MlpTraining) else build_cnn, training)


def train(
    kind: str,
    path: Path,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    build: torch_run.Build | None = None,
    **changes: Any,
) -> Trained:
    """Train a small network of a kind on a prepared file; `build` makes another one than is configured."""
    training = configured(kind, **changes)
    if isinstance(training, NumpyTraining):
        run, network = numpy_run.train_run(training, path, "x", 1, on_epoch)
        images, _ = numpy_run.scoring_images_and_labels(path, training.pixels, training.precision)
        with np.errstate(all="ignore"):
            return Trained(run, network.parameters.tobytes(), network, predict(network, images))
    run, model, probabilities = torch_run.train_run(build or builder(training), training, path, "x", 1, on_epoch)
    weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return Trained(run, weights, model, probabilities)
