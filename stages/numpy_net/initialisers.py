"""Initial weights: normal, with a standard deviation that keeps activations from vanishing or exploding."""

import numpy as np


def he(inputs: int, units: int) -> float:
    """sqrt(2 / inputs): preserves the variance through ReLU layers (He et al. 2015, equation 10)."""
    return np.sqrt(2 / inputs)


def xavier(inputs: int, units: int) -> float:
    """sqrt(2 / (inputs + units)): a compromise for both directions (Glorot & Bengio 2010, equation 12)."""
    return np.sqrt(2 / (inputs + units))


def normal(inputs: int, units: int) -> float:
    """1: standard normal weights, the published report's first attempt."""
    return 1.0


INITIALISERS = {"he": he, "xavier": xavier, "normal": normal}
