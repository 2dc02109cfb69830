"""One style for every figure, and how figures are written: small, and so that redrawing them changes no byte."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from stages.common.files import whole_file

HOUSE = Path(__file__).parent / "house.mplstyle"
# In inches: across both columns of a journal's page. A code host shows it at about 115 pixels an inch.
WIDTH = 7.2
# A picture of lines is the same to the eye in 256 colours, at a third of the size; a photograph isn't. This is by how
# much of 255 colours may move on average.
UNSEEN = 1.0
# In points, beside the sizes that the style file gives to the parts of axes.
SMALL = 7
HEAVY, THIN = 1.9, 0.8  # lines: of the baseline, and of what stands back behind the means


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own matplotlib settings are."""
    with matplotlib.style.context(HOUSE, after_reset=True):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of its own, drawn without a window system."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that holds the picture alone: no date, no software version."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", pil_kwargs={"compress_level": 1})
    picture = fewer_colours(Image.open(drawn).convert("RGB"))
    with whole_file(path) as temporary:
        picture.save(temporary, format="PNG")


def fewer_colours(picture: Image.Image) -> Image.Image:
    """The picture in 256 colours, where that can't be seen."""
    fewer = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    moved = np.abs(np.asarray(picture, int) - np.asarray(fewer.convert("RGB"), int)).mean()
    return fewer if moved < UNSEEN else picture
