"""The loss, its gradient with respect to the logits, and label smoothing."""

import numpy as np


class CrossEntropy:
    """Softmax and cross-entropy in one, which is exact and simpler than the two in turn.

    With z shifted by each sample's maximum, p = exp(z) / Σ exp(z), L = log Σ exp(z) - Σ y z, and dL/dz = p - y
    (Bishop 2006, 4.3.4). No logarithm of a rounded probability is taken.

    `reduction`: "mean" or "sum" over the batch, of the loss whose gradient `backward` returns.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Logits and targets (batch, classes), targets summing to 1 -> losses (batch,)."""
        z = logits - logits.max(axis=1, keepdims=True)  # (batch, classes)
        exponentials = np.exp(z)
        total = exponentials.sum(axis=1, keepdims=True)  # (batch, 1)
        self.p, self.targets = exponentials / total, targets
        return np.log(total[:, 0]) - np.vecdot(z, targets)

    evaluate = forward

    def backward(self) -> np.ndarray:
        """dL/dlogits of the last `forward`: (batch, classes)."""
        error = self.p - self.targets
        return error / len(error) if self.reduction == "mean" else error


def softmax(logits: np.ndarray) -> np.ndarray:
    """Logits (batch, classes) -> probabilities (batch, classes)."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def smooth_labels(one_hot: np.ndarray, smoothing: float) -> np.ndarray:
    """(1 - s) y + s / classes: (n, classes), label smoothing after Szegedy et al. 2016, equation 8."""
    return (1 - smoothing) * one_hot + smoothing / one_hot.shape[1]
