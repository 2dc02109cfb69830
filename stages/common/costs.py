"""How long a training takes, in proportion: enough to let the longest go first. It changes no result.

The unit is the time that one weight's share of the matrix products takes, an image and an epoch. A step costs something
whatever its size: time in Python, and one pass over all weights to change them.
"""

from itertools import pairwise

from stages.common.numpy_params import NumpyTraining
from stages.common.torch_params import MlpTraining

CALLS = 400_000  # a step of the NumPy network, beside its products
TORCH_CALLS = 5_000_000  # a step in PyTorch
PASSES = 10  # of the weights, a step


def products(sizes: list[int]) -> int:
    """Weights between layers of these sizes."""
    return sum(before * after for before, after in pairwise(sizes))


def numpy_cost(training: NumpyTraining) -> float:
    """Of a training of the network from scratch."""
    weights = products([layer.input_nodes for layer in training.architecture])
    width = 2 if training.precision == "float64" else 1
    return training.epochs * width * (weights + (CALLS + PASSES * weights) / training.batch_size)


def mlp_cost(training: MlpTraining) -> float:
    """Of a training of a perceptron; `hidden` layers stand for all, as the study's inputs are the same."""
    weights = products([3072, *training.hidden, training.outputs])
    epochs = sum(phase.epochs for phase in training.stretches)
    return epochs * (weights + (TORCH_CALLS + PASSES * weights) / training.batch_size)
