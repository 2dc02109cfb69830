"""Objectives: the loss and its gradient with respect to the logits.

`forward` returns one loss per sample, in an array that the next call overwrites; `backward(scale)` returns dL/dlogits
times `scale`. The scale is 1/batch for a mean or 1 for a sum, times the learning rate where the optimiser allows it:
one multiplication of a (batch, classes) array instead of one of every weight.
"""

import numpy as np

from stages.numpy_net.buffers import Buffers
from stages.numpy_net.choices import choose


class CrossEntropy:
    """Softmax and cross-entropy in one, which is exact and simpler than the two in turn.

    With z shifted by each sample's maximum, p = exp(z) / Σ exp(z), L = log Σ exp(z) - Σ y z, and dL/dz = p - y
    (Bishop 2006, 4.3.4). No logarithm of a rounded probability is taken.
    """

    def __init__(self, dtype: np.dtype | type) -> None:
        self.buffers = Buffers(dtype)

    def forward(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Logits and targets (batch, classes), targets summing to 1 -> losses (batch,)."""
        batch, classes = logits.shape
        z = self.buffers.get("z", batch, classes)
        p = self.buffers.get("p", batch, classes)
        column = self.buffers.get("column", batch, 1)
        np.subtract(logits, np.maximum.reduce(logits, axis=1, keepdims=True, out=column), out=z)
        total = np.add.reduce(np.exp(z, out=p), axis=1, keepdims=True, out=column)  # (batch, 1)
        p /= total
        losses = np.log(total, out=self.buffers.get("losses", batch, 1))[:, 0]  # (batch,)
        losses -= np.vecdot(z, targets, out=column[:, 0])
        self.p, self.targets = p, targets
        return losses

    evaluate = forward

    def backward(self, scale: float) -> np.ndarray:
        """(p - y) · scale: (batch, classes)."""
        error = np.subtract(self.p, self.targets, out=self.buffers.get("error", *self.p.shape))
        error *= scale
        return error


class Published:
    """The objective of the published code, bugs included.

    The softmax subtracts the largest logit of the whole batch, so that a sample far below it becomes 0/0. The error is
    2 (p - y) / classes · p (1 - p): the gradient of a squared error with only the diagonal of the softmax Jacobian. The
    reported loss, -log(p_true + 1e-15), is not the one that this error minimises.
    """

    epsilon = 1e-15

    def __init__(self, dtype: np.dtype | type) -> None:
        self.buffers = Buffers(dtype)

    def forward(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Logits and one-hot targets (batch, classes) -> losses (batch,)."""
        return self.losses(logits, targets, np.maximum.reduce(logits, axis=None))

    def evaluate(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """As `forward`, each sample shifted by its own maximum: the published code predicts sample by sample."""
        return self.losses(logits, targets, np.maximum.reduce(logits, axis=1, keepdims=True))

    def losses(self, logits: np.ndarray, targets: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """-log(p_true + 1e-15): (batch,), for p = softmax(logits) computed after subtracting `shift`."""
        batch, classes = logits.shape
        p = np.subtract(logits, shift, out=self.buffers.get("p", batch, classes))
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=1, keepdims=True, out=self.buffers.get("total", batch, 1))
        true = np.vecdot(p, targets, out=self.buffers.get("true", batch, 1)[:, 0])  # (batch,)
        true += self.epsilon
        self.p, self.targets = p, targets
        return np.negative(np.log(true, out=true), out=true)

    def backward(self, scale: float) -> np.ndarray:
        """2 (p - y) / classes · p (1 - p) · scale: (batch, classes)."""
        error = np.subtract(self.p, self.targets, out=self.buffers.get("error", *self.p.shape))
        error *= 2 * scale / self.p.shape[1]
        error *= self.p
        error *= np.subtract(1, self.p, out=self.p)
        return error


OBJECTIVES = {"cross_entropy": CrossEntropy, "published": Published}


def objective(name: str, dtype: np.dtype | type) -> CrossEntropy | Published:
    """Return the objective called `name`; an unknown name is a ValueError that lists the known ones."""
    return choose("objective", name, OBJECTIVES)(dtype)


def smooth_labels(one_hot: np.ndarray, smoothing: float) -> np.ndarray:
    """(1 - s) y + s / classes: (n, classes), label smoothing after Szegedy et al. 2016, equation 8."""
    return (1 - smoothing) * one_hot + smoothing / one_hot.shape[1]
