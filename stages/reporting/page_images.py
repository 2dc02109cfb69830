"""Pictures inside the page: each becomes part of the text, so that one file is the whole report."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from stages.reporting.inputs import damaged, missing

# Colours are rounded to 64 levels a channel, at most two steps of 255 away and white still white: to the eye the same
# picture, and a fifth smaller. Lines stay as sharp as they were drawn, which JPEG's or WebP's lossy form would blur.
LEVELS = 64
ROUNDED = [round(round(value * (LEVELS - 1) / 255) * 255 / (LEVELS - 1)) for value in range(256)]


class Embedded(NamedTuple):
    """A picture as an `img` element takes it."""

    source: str
    width: int
    height: int


def embedded(path: Path) -> Embedded:
    """The picture at `path` as a data URI, on white where it is transparent."""
    try:
        with Image.open(path) as opened:
            drawn = opened.convert("RGBA")
    except FileNotFoundError as error:
        raise missing(path) from error
    except OSError as error:  # Pillow's own errors are OSErrors
        raise damaged(path) from error
    picture = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    content = BytesIO()
    picture.point(ROUNDED * 3).save(content, format="WEBP", lossless=True, method=4, quality=80)
    return Embedded(f"data:image/webp;base64,{b64encode(content.getvalue()).decode()}", *picture.size)
