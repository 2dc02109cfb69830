"""The report as one HTML page that needs no other file and no network: to be read on any screen, sent, printed.

It says what report.md and the model cards say; nothing is written for it alone.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown import Markdown
from markdown.extensions.toc import slugify

from stages.reporting.page_elements import Elements
from stages.reporting.page_links import REPORT_ID, heading_id
from stages.reporting.rendering import TEMPLATES

REPORT = "reports/report.md"


class Document(NamedTuple):
    """A part of the page: its id, its HTML, its headings nested by rank."""

    id: str
    html: str
    headings: list[dict[str, Any]]


def write_page(report: str, cards: Mapping[str, str], figures: Path) -> str:
    """The page that holds `report`, report.md's text, then the model cards by their paths relative to it.

    Pictures are taken from `figures`, whatever the documents call that folder's place.
    """
    paths = {f"reports/{path}": text for path, text in cards.items()}
    anchors = {REPORT: REPORT_ID} | {path: f"card-{PurePosixPath(path).stem}" for path in paths}
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.j2").render(
        report=convert(report, REPORT, figures, anchors, top=1),
        cards=[convert(text, path, figures, anchors, top=3) for path, text in paths.items()],
        style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "page.js").read_text(encoding="utf-8"),
    )


def convert(text: str, path: str, figures: Path, anchors: Mapping[str, str], top: int) -> Document:
    """The Markdown of the document at `path`, its first heading of rank `top`."""
    converter = Markdown(
        extensions=["tables", "fenced_code", "sane_lists", "toc", Elements(path, figures, anchors)],
        extension_configs={
            "toc": {
                "baselevel": top,
                "marker": "",
                "slugify": lambda heading, separator: heading_id(anchors[path], slugify(heading, separator)),
            }
        },
        output_format="html",
    )
    return Document(anchors[path], converter.convert(text), converter.toc_tokens)
