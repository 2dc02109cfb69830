"""What a document's Markdown becomes beyond plain HTML: pictures that can be enlarged, tables that scroll in a box of
their own, verdicts as badges, links that lead somewhere.
"""

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from stages.common.errors import StudyError
from stages.reporting.page_images import embedded
from stages.reporting.page_links import anchor, is_relative, repository_path

VERDICTS = ("supported", "contradicted", "undecided", "artefact", "not judged")
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
FIGURES = "reports/figures/"


class Elements(Extension):
    """Python-Markdown's hook for the rewriting of one document."""

    def __init__(self, document: str, figures: Path, anchors: Mapping[str, str]) -> None:
        super().__init__()
        self.document, self.figures, self.anchors = document, figures, anchors

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Rewrite once ids are given (5) and before escapes are undone (0)."""
        md.treeprocessors.register(Rewriter(md, self), "page_elements", 2)


class Rewriter(Treeprocessor):
    """Walks through a document's elements in their order and changes them in place."""

    def __init__(self, md: Markdown, settings: Elements) -> None:
        super().__init__(md)
        self.document, self.figures, self.anchors = settings.document, settings.figures, settings.anchors

    def run(self, root: Element) -> None:
        """Called by Python-Markdown."""
        parents = {child: parent for parent in root.iter() for child in parent}
        heading = ""
        for element in list(root.iter()):
            if element.tag in HEADINGS:
                heading = text_of(element)
            elif element.tag == "table":
                box_table(element, parents[element], heading)
            elif element.tag == "td":
                mark_verdict(element)
            elif element.tag == "a":
                self.lead(element)
            elif element.tag == "img":
                self.show(element, parents[element])

    def lead(self, link: Element) -> None:
        """Lead to the place in the page. A file outside it is named instead: the page may go where the file isn't."""
        href = link.get("href", "")
        if not is_relative(href):
            return
        if target := anchor(self.document, href, self.anchors):
            link.set("href", f"#{target}")
            return
        link.tag = "span"
        link.attrib.clear()
        name_file(link, repository_path(self.document, href))

    def show(self, image: Element, parent: Element) -> None:
        """Put the picture into the page; one that has a paragraph to itself is a figure that can be enlarged."""
        source = image.get("src", "")
        path = repository_path(self.document, source)
        if not is_relative(source) or not path.startswith(FIGURES):
            raise StudyError(f"{self.document} shows {source}, which is not a picture in {FIGURES.rstrip('/')}")
        picture = embedded(self.figures / path.removeprefix(FIGURES))
        image.attrib |= {"src": picture.source, "width": str(picture.width), "height": str(picture.height)}
        image.attrib |= {"loading": "lazy", "decoding": "async"}
        if parent.tag == "p" and len(parent) == 1 and not text_of(parent):
            make_figure(parent, image)


def text_of(element: Element) -> str:
    """The text in an element, without its markup."""
    return "".join(element.itertext()).strip()


def name_file(element: Element, path: str) -> None:
    """Have an element's text name a file: in brackets at its end, unless all that it says is the file's name."""
    if path.endswith(text_of(element)):
        tail = element.tail
        element.clear()
        element.tail = tail
        SubElement(element, "code").text = path
        return
    if len(element):
        element[-1].tail = (element[-1].tail or "") + " ("
    else:
        element.text = (element.text or "") + " ("
    code = SubElement(element, "code")
    code.text, code.tail = path, ")"


def box_table(table: Element, parent: Element, heading: str) -> None:
    """Put a table into a box that scrolls, by keyboard too."""
    for cell in table.iter("th"):
        cell.set("scope", "col")
    box = Element("div", {"class": "table", "role": "region", "tabindex": "0", "aria-label": f"Table: {heading}"})
    box.tail, table.tail = table.tail, None
    parent[list(parent).index(table)] = box
    box.append(table)


def mark_verdict(cell: Element) -> None:
    """Make a cell that holds a verdict and nothing else a badge."""
    word = text_of(cell)
    if word in VERDICTS:
        for child in list(cell):
            cell.remove(child)
        cell.text = None
        SubElement(cell, "span", {"class": f"verdict {word.replace(' ', '-')}"}).text = word


def make_figure(paragraph: Element, image: Element) -> None:
    """Make the paragraph a figure. A tick box, which needs no script, switches between its sizes."""
    paragraph.tag = "figure"
    paragraph.remove(image)
    label = SubElement(paragraph, "label")
    SubElement(label, "input", {"type": "checkbox", "aria-label": "Full size"})
    label.append(image)
