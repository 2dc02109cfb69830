"""Gradient clipping: a limit on how far one bad mini-batch can throw the weights."""

import numpy as np


def clip_norm(gradient: np.ndarray, limit: float) -> None:
    """Shrink `gradient` in place to Euclidean norm `limit` where it is longer (Pascanu et al. 2013, algorithm 1)."""
    norm = np.sqrt(np.dot(gradient, gradient))
    if norm > limit:
        gradient *= limit / norm


def clip_value(gradient: np.ndarray, limit: float) -> None:
    """Bring each element of `gradient` into [-limit, limit], in place."""
    np.clip(gradient, -limit, limit, out=gradient)
