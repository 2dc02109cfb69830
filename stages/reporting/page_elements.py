"""What Markdown becomes beyond plain HTML: pictures that can be enlarged, tables that scroll, verdicts as badges, and
links that lead to headings of the page, or name the file if it isn't part of the page.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from stages.errors import StudyError
from stages.reporting.style import VERDICTS

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
REPORTS, FIGURES = "reports", "figures/"


def heading_id(document: str, slug: str) -> str:
    """The id of a heading: no two documents of the page share one. The report's own are as in report.md."""
    return slug if document == "report" else f"{document}-{slug}"


class Elements(Extension, Treeprocessor):
    """Rewrites the elements of one document in place.

    `anchors` has the id of each document by its path relative to the report; `embed` returns the attributes of a
    picture in figures/.
    """

    def __init__(self, document: str, anchors: Mapping[str, str], embed: Callable[[str], dict[str, str]]) -> None:
        super().__init__()
        self.document, self.anchors, self.embed = document, anchors, embed

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Rewrite after ids are given (5) and before escapes are undone (0)."""
        md.treeprocessors.register(self, "page_elements", 2)

    def run(self, root: Element) -> None:
        """Called by Python-Markdown."""
        parents = {child: parent for parent in root.iter() for child in parent}
        heading = ""
        for element in list(root.iter()):
            if element.tag in HEADINGS:
                heading = text_of(element)
            elif element.tag == "table":
                box_table(element, parents[element], heading)
            elif element.tag == "td" and (word := text_of(element)) in VERDICTS:
                element.text = None
                SubElement(element, "span", {"class": f"verdict {word.replace(' ', '-')}"}).text = word
            elif element.tag == "a":
                self.rewrite_link(element)
            elif element.tag == "img":
                self.embed_picture(element, parents[element])

    def rewrite_link(self, link: Element) -> None:
        """Link to the heading in the page; for a file outside it, add the name of the file, or use it as the text."""
        parts = urlsplit(link.get("href", ""))
        if parts.scheme or parts.netloc:
            return
        target = self.path_of(parts.path) if parts.path else self.document
        if anchor := self.anchors.get(target):
            link.set("href", f"#{heading_id(anchor, parts.fragment) if parts.fragment else anchor}")
            return
        file, text, tail = normpath(f"{REPORTS}/{target}"), text_of(link), link.tail
        link.clear()
        link.tag, link.tail = "span", tail
        named = file.endswith(text)
        link.text = "" if named else f"{text} ("
        code = SubElement(link, "code")
        code.text, code.tail = file, "" if named else ")"

    def embed_picture(self, image: Element, parent: Element) -> None:
        """Put the picture into the page; alone in a paragraph it becomes a figure that can be enlarged."""
        source = image.get("src", "")
        path = self.path_of(source)
        if urlsplit(source).scheme or not path.startswith(FIGURES):
            raise StudyError(f"{REPORTS}/{self.document} shows {source}, which is not in {REPORTS}/{FIGURES}")
        image.attrib |= self.embed(path.removeprefix(FIGURES)) | {"loading": "lazy", "decoding": "async"}
        if parent.tag == "p" and len(parent) == 1 and not text_of(parent):
            parent.tag = "figure"
            parent.remove(image)
            label = SubElement(parent, "label")  # its tick box switches between the sizes, without a script
            SubElement(label, "input", {"type": "checkbox", "aria-label": "Full size"})
            label.append(image)

    def path_of(self, link: str) -> str:
        """The path, relative to the report, of the file that a relative link of this document names."""
        return normpath(PurePosixPath(self.document).parent / link)


def text_of(element: Element) -> str:
    """The text in an element, without its markup."""
    return "".join(element.itertext()).strip()


def box_table(table: Element, parent: Element, heading: str) -> None:
    """Put a table into a box that scrolls, by keyboard too."""
    for cell in table.iter("th"):
        cell.set("scope", "col")
    box = Element("div", {"class": "table", "role": "region", "tabindex": "0", "aria-label": f"Table: {heading}"})
    box.tail, table.tail = table.tail, None
    parent[list(parent).index(table)] = box
    box.append(table)
