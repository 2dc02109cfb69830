"""Gradient clipping: a limit on the step that one mini-batch can cause."""

import numpy as np


def clip_norm(gradient: np.ndarray, limit: float) -> None:
    """Scale `gradient` in place to Euclidean norm `limit` if it is longer (Pascanu et al. 2013, algorithm 1)."""
    norm = np.sqrt(np.dot(gradient, gradient))
    if norm > limit:
        gradient *= limit / norm


def clip_value(gradient: np.ndarray, limit: float) -> None:
    """Clip each element of `gradient` to [-limit, limit], in place."""
    np.clip(gradient, -limit, limit, out=gradient)
