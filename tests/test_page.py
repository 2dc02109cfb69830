"""The HTML page holds its documents, needs no other file, and has one target for each of its links."""

import re
from pathlib import Path

import pytest

from stages.errors import StudyError
from stages.reporting.page import write_page
from stages.reporting.style import VERDICTS, WIDTH, new_figure, report_style, save

# Cells as the report has them, in an order that no sorting gives.
CELLS = ("0.8747 ± 0.0020", "−0.0100", "10,000", "–", "+0.01 [−0.02, 0.04]", "1e-5", "−0.2")
ROWS = ["number|word", "-|-", *(f"{cell}|{'no' if place % 2 else 'yes'}" for place, cell in enumerate(CELLS))]
TABLE, WIDE = ("\n".join(row + "|-------------" * more for row in ROWS) for more in (7, 14))
CLAIMS = "\n".join(f"What a student concludes from one run, at some length|{each}" for each in VERDICTS)
FIGURE = "![A < B & C](figures/error_signal.svg)"
ICON, FOLDED = '<link rel="icon" href="data:,">', ["appendix.md/same", "appendix.md/runs", "cards/", "cards/a.md"]
TEXT = "[a run](appendix.md#runs), `code`, [a card](cards/a.md). " * 20
TEXTS = {
    "report.md": f"# T\n\n{TEXT}\n\n## Why `0.1(1 − p)` & so\n\na|b\n-|-\n{CLAIMS}\n\n{FIGURE}\n\n## Same\n\n## Same",
    "appendix.md": f"# Appendix\n\n## Same\n\n{TABLE}\n\n## Runs\n\n[up](report.md#same)\n\n### Part\n\n{WIDE}",
    "cards/a.md": f"# A\n\n[b](b.md) [`x.yaml`](../../data/x.yaml)\n\n{FIGURE}".replace("(fig", "(../fig"),
}


def write(folder: Path) -> tuple[str, str]:
    """The page with a figure in the report's style, and that figure."""
    with report_style():
        figure = new_figure(4)
        figure.subplots().plot([0, 1], [0, 9])
        save(figure, folder / "error_signal.svg")
    return write_page(TEXTS, folder), (folder / "error_signal.svg").read_text("utf-8")


def test_the_page_holds_its_documents_and_needs_no_other_file(tmp_path):
    page, original = write(tmp_path)
    assert re.findall(r"\ssrc=|@import|url\(\"?[^#\"]|<(?:link|iframe|object)\b.*", page) == [ICON]
    ids, links = re.findall(' id="(.*?)"', page), re.findall('<a [^>]*href="#(.*?)"', page)
    assert len(ids) == len(set(ids))
    assert {"appendix.md", "cards/", "cards/a.md", "appendix.md/runs", "same"} <= set(links) <= set(ids)
    assert re.findall('<h2 id="(.*?)"', page)[:3] == ["why-011--p--so", "same", "same-1"]  # as on GitHub
    assert re.findall('<summary>.*? id="(.*?)"', page) == FOLDED
    assert re.findall('<td><span class="verdict [a-z-]+">(.*?)</span></td>', page) == list(VERDICTS)
    assert re.findall("<span>(.*?)</span>", page) == ["b (<code>reports/cards/b.md</code>)", "<code>data/x.yaml</code>"]
    pictures = re.findall("<figure (.*?)>(<svg .*?</svg>)</figure>", page)
    assert [each for each, _ in pictures] == ['aria-label="A &lt; B &amp; C" data-name="error_signal" role="img"'] * 2
    for _, svg in pictures:
        assert svg.startswith(
            f'<svg xmlns="http://www.w3.org/2000/svg" version="1.1" viewBox="0 0 {72 * WIDTH:g} 288"><defs></defs>'
        )
        assert re.findall("<text.*?>(.*?)</text>", svg) == re.findall("<text.*?>(.*?)</text>", original) != []
        assert set(re.findall(r'(?:url\(|href=")#(.*?)[)"]', svg)) == set(re.findall(' id="(.*?)"', svg)) != set()


def test_a_missing_or_damaged_picture_is_named(tmp_path):
    (tmp_path / "damaged.svg").write_bytes(b"<svg>no picture")
    for picture, message in (
        ("figures/none.svg", "none.svg is missing; run `dvc repro`$"),
        ("figures/damaged.svg", "damaged.svg cannot be read; run `dvc repro`$"),
        ("https://example.org/x.svg", "^reports/report.md shows https://example.org/x.svg, which is not in"),
    ):
        with pytest.raises(StudyError, match=message):
            write_page({"report.md": f"# Title\n\n![Words]({picture})\n"}, tmp_path)
