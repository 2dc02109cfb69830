"""The checker that tests every backward pass: what calculus says against what the code says."""

from collections.abc import Callable

import numpy as np

STEP = 1e-6


def numerical_gradient(function: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Central differences of a scalar `function` at `x`, element by element: the shape of `x`, float64."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += STEP
        down[index] -= STEP
        gradient[index] = (function(up) - function(down)) / (2 * STEP)
    return gradient


def assert_gradient(analytic: np.ndarray, function: Callable[[np.ndarray], float], x: np.ndarray) -> None:
    """Fail unless `analytic` is the gradient of `function` at `x`, to seven digits of the largest element."""
    numerical = numerical_gradient(function, x)
    scale = max(np.abs(numerical).max(), 1e-3)
    np.testing.assert_allclose(analytic / scale, numerical / scale, rtol=0, atol=1e-7)
