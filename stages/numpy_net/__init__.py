"""A neural network written from scratch in NumPy, to be read like a textbook.

Reading order: `activations`, `layers`, `losses`, `network` (the chain rule), `initialisers`, `optimisers`, `clipping`,
`augmentation`, `training` (the loop that puts them together). Nothing here reads a parameter file or a data file, and
every random number comes from a generator that the caller passes in.
"""

from stages.numpy_net.network import Network
from stages.numpy_net.training import epochs, evaluate, predict

__all__ = ["Network", "epochs", "evaluate", "predict"]
