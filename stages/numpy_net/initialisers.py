"""Initial weights: normal, with a variance that keeps the activations from vanishing or exploding.

Each initialiser returns the standard deviation of a layer's weights.
"""

import numpy as np

from stages.numpy_net.choices import choose


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


def draw_weights(
    initialiser: str, inputs: int, units: int, generator: np.random.Generator | np.random.RandomState
) -> np.ndarray:
    """Draw one layer's weights: float64 (inputs, units).

    They are drawn unit by unit, as in the published code, so that its legacy generator gives the same weights.
    """
    scale = choose("initialiser", initialiser, INITIALISERS)(inputs, units)
    return (generator.standard_normal((units, inputs)) * scale).T
