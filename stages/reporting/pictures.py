"""What the report shows of a final model as pictures: its most confident errors, and the weights of its first layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from stages.training.prepared import read_test
from stages.verdicts.reading import ModelResult, read_file

UNITS = 32  # of the first layer, shown at most
MEASURED = ("running_mean", "running_var", "num_batches_tracked")  # measured by batch norm, not trained


@dataclass(frozen=True)
class Pictures:
    """`errors`: uint8 (n, height, width, channels); `weights`: those of the first layer's `units` with the largest
    norm, (n, height, width, channels); `parameters`: how many weights were trained in all layers.
    """

    errors: np.ndarray
    weights: np.ndarray
    units: int
    parameters: int

    @property
    def shows_patterns(self) -> bool:
        """Whether the first layer sees whole images: the few pixels of a filter show nothing."""
        return self.weights.shape[1:3] == self.errors.shape[1:3]


def read_pictures(models: dict[str, ModelResult], folder: Path, prepared: Path) -> dict[str, Pictures]:
    """Read the networks of the final models in `folder`, and the test images in `prepared`."""
    found = {}
    for name, model in models.items():
        images = read_test(prepared / f"{model.dataset}.npz").images
        path = folder / f"{name}{'.npz' if name == 'numpy' else '.safetensors'}"
        arrays, weights = read_file(path, lambda path, shape=images.shape[1:]: read_network(path, shape))
        trained = [array.size for key, array in arrays.items() if not key.endswith(MEASURED)]
        errors = images[model.errors["index"].to_numpy(int)]
        found[name] = Pictures(errors, largest(weights, UNITS), len(weights), sum(trained))
    return found


def read_network(path: Path, shape: Sequence[int]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All arrays of a network on images of `shape`, and its first layer: (units, height, width, channels).

    Weights are stored as (inputs, units), (units, inputs) or (filters, channels, height, width), where inputs are
    height * width * channels, in this order. A diverged network's NaN weights become 0.
    """
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    else:
        arrays = load_file(path)
    ways = {
        "weights_1": lambda array: array.T.reshape(-1, *shape),
        "layers.0.weight": lambda array: array.reshape(-1, *shape),
        "stem.weight": lambda array: array.transpose(0, 2, 3, 1),
    }
    weights = next(way(arrays[key]) for key, way in ways.items() if key in arrays)
    return arrays, np.nan_to_num(weights, posinf=0.0, neginf=0.0)


def largest(weights: np.ndarray, count: int) -> np.ndarray:
    """The `count` units with the largest norm, in descending order: (count, height, width, channels)."""
    norms = np.linalg.norm(weights.reshape(len(weights), -1), axis=1)
    return weights[np.argsort(-norms, kind="stable")[:count]]
