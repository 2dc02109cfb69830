"""A neural network from scratch in NumPy, written to be read.

Reading order: `layers`, `activations`, `losses`, `network` (the chain rule), `training` (the loop that puts them
together); then `initialisers`, `optimisers`, `clipping`, `augmentation`, and `published`, the published objective.
Nothing here reads parameters or data files, and every random number comes from a generator that the caller passes in.
"""

from stages.numpy_net.network import Network, build
from stages.numpy_net.training import evaluate, predict, train

__all__ = ["Network", "build", "evaluate", "predict", "train"]
