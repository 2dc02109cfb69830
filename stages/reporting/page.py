"""The report as one self-contained HTML page: report.md, and folded the sections of appendix.md and the cards."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import count
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, canonicalize

from markdown import Markdown
from markdown.treeprocessors import Treeprocessor

from stages.errors import StudyError
from stages.reporting import document, style
from stages.verdicts.reading import read_file

REPORT, APPENDIX = "report.md", "appendix.md"
TITLES = {REPORT: 1, APPENDIX: 2}  # the rank of each document's title in the page; a card's is 3
BOX = '<div class="table" role="region" aria-label="Table" tabindex="0"><table>'
LINK = r'<a class="anchor" href="#\2" aria-label="Link to this section">#</a>'
LONG = 24  # characters: the text of longer cells is wrapped
COLOURS = {"ink": style.INK, "note": style.NOTE, "grid": style.GRID, "paper": style.PAPER}
COLOURS |= {"as-run": style.AS_RUN, "fixed": style.FIXED, **style.VERDICTS}


def write_page(texts: Mapping[str, str], figures: Path) -> str:
    """The page that holds `texts`, report.md, appendix.md and the cards by their paths, with the SVGs in `figures`."""
    numbers = count()
    documents = {path: convert(text, Elements(path, texts, figures, numbers)) for path, text in texts.items()}
    both = {name.replace(" ", "-"): (light, style.DARK[light]) for name, light in COLOURS.items()}
    colours = " ".join(f"--{name}: light-dark({light}, {dark});" for name, (light, dark) in both.items())
    css, script = ((document.TEMPLATES / name).read_text("utf-8") for name in ("page.css", "page.js"))
    known = {
        "report": documents[REPORT],
        "appendix": documents.get(APPENDIX),
        "cards": [card for path, card in documents.items() if path not in TITLES],
        "style": f":root {{ {colours} }}\n{style.schemes(style.DARK)}\n{css}",
        "script": script,
    }
    return document.render("page.html.j2", known, html=True)


def convert(text: str, elements: "Elements") -> dict[str, Any]:
    """The HTML and the nested headings of a document; headings link to themselves, tables are in boxes that scroll."""
    path, title = elements.path, TITLES.get(elements.path, 3)
    toc = {"baselevel": title, "marker": "", "slugify": elements.slug}
    extensions = ["tables", "sane_lists", "toc"]
    converter = Markdown(extensions=extensions, extension_configs={"toc": toc}, output_format="html")
    elements.stash = converter.htmlStash
    converter.treeprocessors.register(elements, "page", 2)  # after ids are given (5), before escapes are undone (0)
    html = converter.convert(text).replace("<table>", BOX).replace("</table>", "</table></div>")
    if path != REPORT:
        html = re.sub(f'<h{title} id="[^"]*"', f'<h{title} id="{path}"', html, count=1)
        html = re.sub(r"(?s)(<h3.*?</h3>)(.*?)(?=<h3|\Z)", r"<details><summary>\1</summary>\2</details>", html)
    html = re.sub(r'(<h\d id="([^"]*)">.*?)(</h\d>)', rf"\1 {LINK}\3", html)
    return {"html": html, "headings": converter.toc_tokens}


def inline(path: Path, prefix: str) -> str:
    """The SVG at `path` as a part of a page, which gives it size and colours; `prefix` makes its ids unique."""
    svg = read_file(path, lambda path: canonicalize(path.read_text("utf-8"), strip_text=True))
    svg = re.sub(r'<style.*?</style>| xmlns:xlink="[^"]*"', "", svg).replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{prefix}{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{prefix}", svg)
    start, end, rest = svg.partition(">")
    return re.sub(r' (width|height)="[^"]*"', "", start) + end + rest


class Elements(Treeprocessor):
    """Rewrites the elements of the document at `path`, one of `paths`, in place."""

    def __init__(self, path: str, paths: Collection[str], figures: Path, numbers: Iterator[int]) -> None:
        self.path, self.paths, self.figures, self.numbers = path, paths, figures, numbers
        self.seen: Counter[str] = Counter()

    def run(self, root: Element) -> None:
        """Called by Python-Markdown."""
        for element in list(root.iter()):
            text = "".join(element.itertext()).strip()
            if element.tag == "a":
                self.rewrite_link(element, text)
            elif (image := element.find("img")) is not None:
                self.place_picture(image, element)
            elif element.tag == "td" and text in style.VERDICTS:
                element[:], element.text = [], None
                SubElement(element, "span", {"class": f"verdict {text.replace(' ', '-')}"}).text = text
            elif element.tag == "td" and len(text) > LONG:
                element.set("class", "long")

    def slug(self, heading: str, _: str = "") -> str:
        """The id that GitHub gives the heading; without a full stop, no other document's can equal report.md's."""
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        self.seen[name] += 1
        return anchor(self.path, name if self.seen[name] == 1 else f"{name}-{self.seen[name] - 1}")

    def rewrite_link(self, link: Element, text: str) -> None:
        """Link to the heading in the page; for a file outside it, add the name of the file, or use it as the text."""
        parts = urlsplit(link.get("href", ""))
        target = self.resolve(parts.path) if parts.path else self.path
        if target in self.paths:
            link.set("href", f"#{anchor(target, parts.fragment)}")
        elif not (parts.scheme or parts.netloc):
            file, tail = normpath(f"reports/{target}"), link.tail
            link.clear()
            link.tag, link.tail = "span", tail
            link.text, after = ("", "") if file.endswith(text) else (f"{text} (", ")")
            code = SubElement(link, "code")
            code.text, code.tail = file, after

    def place_picture(self, image: Element, parent: Element) -> None:
        """Make the paragraph that is a picture a figure."""
        source = image.get("src", "")
        path = self.resolve(source)
        if not path.startswith("figures/"):
            raise StudyError(f"reports/{self.path} shows {source}, which is not in reports/figures/")
        svg = inline(self.figures / path.removeprefix("figures/"), f"f{next(self.numbers)}.")
        parent.tag, parent.text = "figure", self.stash.store(svg)
        parent.attrib |= {"role": "img", "aria-label": image.get("alt", ""), "data-name": Path(path).stem}
        parent.remove(image)

    def resolve(self, link: str) -> str:
        """The path, relative to the report, of the file that a relative link of this document names."""
        return normpath(join(dirname(self.path), link))


def anchor(path: str, heading: str) -> str:
    """The id of a heading, or of a document where the heading is empty."""
    return (heading if path == REPORT else f"{path}/{heading}") if heading else path
