"""Where the weights start: large enough that signals live, small enough that they don't explode.

Each returns the standard deviation of the normal distribution that a layer's weights are drawn from.
"""

import numpy as np

from stages.numpy_net.choices import choose


def he(inputs: int, units: int) -> float:
    """sqrt(2 / inputs): keeps the variance through ReLU layers (He et al. 2015, equation 10)."""
    return np.sqrt(2 / inputs)


def xavier(inputs: int, units: int) -> float:
    """sqrt(2 / (inputs + units)): keeps it both ways through linear layers (Glorot & Bengio 2010, equation 12)."""
    return np.sqrt(2 / (inputs + units))


def normal(inputs: int, units: int) -> float:
    """1: plain standard normal weights, as the report's authors first had them."""
    return 1.0


INITIALISERS = {"he": he, "xavier": xavier, "normal": normal}


def draw_weights(
    initialiser: str, inputs: int, units: int, generator: np.random.Generator | np.random.RandomState
) -> np.ndarray:
    """Draw one layer's weights: float64 (inputs, units).

    The numbers are drawn unit by unit, as the published code draws them: from its legacy generator come its weights.
    """
    scale = choose("initialiser", initialiser, INITIALISERS)(inputs, units)
    return (generator.standard_normal((units, inputs)) * scale).T
