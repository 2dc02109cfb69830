"""Where links lead once report and model cards are one page, which may be read far from its repository."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import unquote, urlsplit

REPORT_ID = "report"


def repository_path(document: str, link: str) -> str:
    """The file that a relative link of `document` names; both paths start at the root of the repository."""
    return normpath(PurePosixPath(document).parent / unquote(urlsplit(link).path))


def is_relative(link: str) -> bool:
    """Whether a link leads to a file of the repository or to a place in its own document."""
    parts = urlsplit(link)
    return not (parts.scheme or parts.netloc)


def anchor(document: str, link: str, anchors: Mapping[str, str]) -> str | None:
    """The id that a relative link leads to; none if it leads to a file that isn't part of the page.

    `anchors` has the id of each document in the page; ids of the headings in it start with that.
    """
    parts = urlsplit(link)
    target = repository_path(document, link) if parts.path else document
    if target not in anchors:
        return None
    return heading_id(anchors[target], parts.fragment) if parts.fragment else anchors[target]


def heading_id(document_id: str, slug: str) -> str:
    """The id of a heading: no two documents of the page share one. The report's own are as in report.md."""
    return slug if document_id == REPORT_ID else f"{document_id}-{slug}"
