"""The objective of the published code, bugs included."""

import numpy as np

from stages.numpy_net.losses import softmax

EPSILON = 1e-15


class Published:
    """The published softmax, error and loss, of which no two belong together.

    The softmax subtracts the largest logit of the whole batch, so that a sample far below it becomes 0/0. The error is
    2 (p - y) / classes · p (1 - p): the gradient of a squared error with only the diagonal of the softmax Jacobian. The
    reported loss, -log(p_true + 1e-15), is not the one that this error minimises.

    `reduction`: the error is divided by the batch for "mean", and as published for "sum".
    """

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = reduction

    def forward(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Logits and one-hot targets (batch, classes) -> losses (batch,)."""
        exponentials = np.exp(logits - logits.max())
        self.p, self.targets = exponentials / exponentials.sum(axis=1, keepdims=True), targets
        return -np.log(np.vecdot(self.p, targets) + EPSILON)

    def evaluate(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """As `forward`, each sample shifted by its own maximum: the published code predicts sample by sample."""
        return -np.log(np.vecdot(softmax(logits), targets) + EPSILON)

    def backward(self) -> np.ndarray:
        """The error of the last `forward`: (batch, classes)."""
        batch, classes = self.p.shape
        error = 2 * (self.p - self.targets) / classes * self.p * (1 - self.p)
        return error / batch if self.reduction == "mean" else error
