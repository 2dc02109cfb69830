"""The report as one self-contained HTML page, for any screen, for mail and for print: report.md and the model cards."""

from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from markdown import Markdown
from markdown.extensions.toc import slugify
from PIL import Image

from stages.reporting.document import TEMPLATES, render
from stages.reporting.page_elements import Elements, heading_id
from stages.verdicts.reading import read_file

# Colours are rounded to 64 levels per channel, an error of at most 2 in 255 that leaves white as it is: invisible, and
# the file is a fifth smaller.
ROUNDED = [round(round(value * 63 / 255) * 255 / 63) for value in range(256)]


class Document(NamedTuple):
    """A part of the page: its id, its HTML, its headings nested by rank."""

    id: str
    html: str
    headings: list[dict[str, Any]]


def write_page(texts: Mapping[str, str], figures: Path) -> str:
    """The page that holds `texts`, report.md and the cards by their relative paths, with the pictures in `figures`."""
    anchors = {path: "report" if path == "report.md" else f"card-{PurePosixPath(path).stem}" for path in texts}
    documents = [
        convert(text, path, figures, anchors, top=1 if path == "report.md" else 3) for path, text in texts.items()
    ]
    known = {
        "report": documents[0],
        "cards": documents[1:],
        "style": (TEMPLATES / "page.css").read_text(encoding="utf-8"),
        "script": (TEMPLATES / "page.js").read_text(encoding="utf-8"),
    }
    return render("page.html.j2", known, html=True)


def convert(text: str, path: str, figures: Path, anchors: Mapping[str, str], top: int) -> Document:
    """The Markdown of the document at `path`, its first heading of rank `top`."""

    def slug(heading: str, separator: str) -> str:
        return heading_id(anchors[path], slugify(heading, separator))

    elements = Elements(path, anchors, lambda name: embed(figures / name))
    converter = Markdown(
        extensions=["tables", "fenced_code", "sane_lists", "toc", elements],
        extension_configs={"toc": {"baselevel": top, "marker": "", "slugify": slug}},
        output_format="html",
    )
    return Document(anchors[path], converter.convert(text), converter.toc_tokens)


def embed(path: Path) -> dict[str, str]:
    """The picture at `path` as attributes of an `img` element: a data URI, width and height."""
    picture = read_file(path, lambda path: Image.open(path).convert("RGB"))
    content = BytesIO()
    picture.point(ROUNDED * 3).save(content, format="WEBP", lossless=True, method=4, quality=80)
    source = f"data:image/webp;base64,{b64encode(content.getvalue()).decode()}"
    return {"src": source, "width": str(picture.width), "height": str(picture.height)}
