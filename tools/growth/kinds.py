"""Kinds of run: trainings that differ in nothing that takes time are one, and are timed once."""

from typing import Any

from stages.common.numpy_params import NumpyTraining
from stages.common.torch_params import MlpTraining

# Two epochs, so that the second can be told from what a run does once; too slow to diverge; a constant rate.
SHORT: dict[str, Any] = {
    "epochs": 2,
    "lr": 1e-5,
    "schedule": "constant",
    "warmup": 0.0,
    "label_smoothing": 0.0,
    "pixels": "unit",
    "patience": None,
}
# Settings that take time where they are set, the same whatever they are set to.
SWITCHES = {"l2": 1e-4, "dropout": 0.2, "clip_norm": 1.0, "clip_value": 0.1, "momentum": 0.9, "weight_decay": 0.01}
WITH_MOMENTUM = ("momentum", "nesterov")  # of the NumPy network's optimisers
# What else takes no time that could be seen.
NUMPY_SAME = {"initialiser": "he", "reduction": "mean", "reshuffle": True}
TORCH_SAME = {"phases": None}


def kind_of(training: NumpyTraining | MlpTraining) -> NumpyTraining | MlpTraining:
    """The short training that stands for all of its kind."""
    switches = {name: value for name, value in SWITCHES.items() if getattr(training, name, None)}
    if isinstance(training, NumpyTraining) and training.optimiser not in WITH_MOMENTUM:
        switches["momentum"] = 0.0  # which has no meaning there
    same = NUMPY_SAME if isinstance(training, NumpyTraining) else TORCH_SAME
    return training.model_copy(update={**SHORT, **same, **switches})


def name_of(training: NumpyTraining | MlpTraining) -> str:
    """A kind in words: the network, and whatever takes time."""
    settings = kind_of(training).model_dump()
    if isinstance(training, NumpyTraining):
        layers = settings["architecture"]
        words = ["NumPy " + "-".join(str(layer["input_nodes"]) for layer in layers), layers[0]["activation"]]
        words += [settings["objective"], settings["protocol"], "with bias" if settings["bias"] else "without bias"]
    else:
        words = ["PyTorch " + "-".join(map(str, [3072, *settings["hidden"], settings["outputs"]]))]
        words += [settings["activation"]]
    words += [settings["precision"], f"batch {settings['batch_size']}", settings["optimiser"]]
    switches = (*SWITCHES, "shift", "flip", "cutout", "batch_norm", "dropout_everywhere", "test_time_flip")
    words += [f"{name} {settings[name]:g}" for name in switches if settings.get(name)]
    return " ".join(words)
