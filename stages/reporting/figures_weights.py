"""What the first layer looks for: one picture a unit or filter."""

import numpy as np
from matplotlib.figure import Figure

from stages.reporting.colours import WEIGHTS_MAP
from stages.reporting.style import new_figure

COLUMNS = 8
GREY = 0.5  # what a weight of 0 is shown as, where pictures have colours


def draw_weights(weights: np.ndarray) -> Figure:
    """Pictures of (n, height, width, channels), all on one scale around zero; of three channels in their colours."""
    rows = -(-len(weights) // COLUMNS)
    colours = weights.shape[-1] == 3
    figure = new_figure((0.9 if colours else 0.76) * rows)  # beside colours there is no bar
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    limit = max(float(np.quantile(np.abs(weights), 0.998)), 1e-6)
    for axes in grid.flat:
        axes.axis("off")
    for axes, picture in zip(grid.flat, weights, strict=False):
        if colours:
            axes.imshow(coloured(picture, limit))
        else:
            image = axes.imshow(picture.mean(axis=-1), cmap=WEIGHTS_MAP, vmin=-limit, vmax=limit)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
    if not colours:
        figure.colorbar(image, ax=grid, shrink=0.5, label="weight", extend="both")
    return figure


def coloured(weights: np.ndarray, limit: float) -> np.ndarray:
    """Weights (height, width, 3) as colours from 0 to 1: none is mid-grey, `limit` as bright as can be."""
    return np.clip(GREY + weights / (2 * limit), 0, 1)
