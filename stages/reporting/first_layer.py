"""What the report takes from the file of a network: the weights of its first layer as pictures, and how many it has."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from stages.reporting.inputs import damaged, missing

# The arrays that hold the first layer's weights: (inputs, units), (units, inputs) and
# (filters, channels, height, width), where inputs are height * width * channels, in this order.
NUMPY_KEY, MLP_KEY, CNN_KEY = "weights_1", "layers.0.weight", "stem.weight"
MEASURED = ("running_mean", "running_var", "num_batches_tracked")


def read_first_layer(path: Path, shape: Sequence[int]) -> np.ndarray:
    """Weights of all units, (units, height, width, channels), of a network on images of `shape`.

    A filter's height and width are its own. A diverged network's weights are no numbers; they are shown as 0.
    """
    try:
        weights = from_npz(path, shape) if path.suffix == ".npz" else from_safetensors(path, shape)
    except FileNotFoundError as error:
        raise missing(path) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, SafetensorError) as error:
        raise damaged(path) from error
    return np.nan_to_num(weights, posinf=0.0, neginf=0.0)


def from_npz(path: Path, shape: Sequence[int]) -> np.ndarray:
    """Of the NumPy network."""
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[NUMPY_KEY].T.reshape(-1, *shape)


def from_safetensors(path: Path, shape: Sequence[int]) -> np.ndarray:
    """Of a multi-layer perceptron or a convolutional network in PyTorch."""
    arrays = load_file(path)
    if CNN_KEY in arrays:
        return arrays[CNN_KEY].transpose(0, 2, 3, 1)
    return arrays[MLP_KEY].reshape(-1, *shape)


def count_weights(path: Path) -> int:
    """How many numbers were trained. The statistics that batch norm keeps are measured, not trained."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return sum(arrays[name].size for name in arrays.files)
    return sum(array.size for name, array in load_file(path).items() if not name.endswith(MEASURED))


def largest(weights: np.ndarray, count: int) -> np.ndarray:
    """The `count` units with the largest norm, the largest first: (count, height, width, channels)."""
    norms = np.linalg.norm(weights.reshape(len(weights), -1), axis=1)
    return weights[np.argsort(-norms, kind="stable")[:count]]
