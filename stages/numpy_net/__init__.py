"""A neural network from scratch in NumPy, written to be read.

Reading order: `activations`, `layers`, `losses`, `network` (the chain rule), `initialisers`, `optimisers`, `clipping`,
`augmentation`, `training` (the loop that puts them together). Nothing here reads parameters or data files, and every
random number comes from a generator that the caller passes in.
"""

from stages.numpy_net.network import Network
from stages.numpy_net.training import epochs, evaluate, predict

__all__ = ["Network", "epochs", "evaluate", "predict"]
