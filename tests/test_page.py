"""The report as one HTML page: complete in itself, and usable on a telephone, by keyboard and in the dark."""

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from stages import report
from stages.common.errors import StudyError
from stages.reporting.document import write_report
from stages.reporting.page import write_page
from stages.reporting.page_elements import VERDICTS
from tests.browser import Tab, opened
from tests.results import ROOT, make_results

# Cells as the report has them, in an order that no sorting gives.
CELLS = ("0.8747 ± 0.0020", "−0.0100", "10,000", "–", "+0.01 [−0.02, 0.04]", "1e-5", "−0.2")
ASCENDING = ["−0.2", "−0.0100", "1e-5", "+0.01 [−0.02, 0.04]", "0.8747 ± 0.0020", "10,000", "–"]
SAMPLE = "\n".join(
    [
        *("## Sample", "", "See [the card](cards/numpy.md), [its limits](cards/numpy.md#limits) and"),
        *(
            "[the parameters](../params.yaml), [`claims.yaml`](../data/claims.yaml), [elsewhere](https://example.org/).",
            "",
        ),
        *("| number | word | share | layers |", "|---:|:---|---:|:---|"),
        *(
            f"| {cell} | {'no' if place % 2 else 'yes'} | {place % 3} of 3 | {place * 64}-{(9 - place) * 32} |"
            for place, cell in enumerate(CELLS)
        ),
        *("", "| claim | verdict |", "|---|---|"),
        *(f"| it is {verdict} | {verdict} |" for verdict in VERDICTS),
        "",
    ]
)
CARDS = {
    "cards/numpy.md": "# The NumPy card\n\n[Up](../report.md#sample), [aside](torch.md), [on](#limits)\n\n## Limits\n",
    "cards/torch.md": "# The PyTorch card\n\n## Limits\n\n![Any picture](../figures/learning_rate.png)\n",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports of made-up results, with plain pictures for figures: drawing takes long, and has tests of its own."""
    folder = tmp_path_factory.mktemp("page")
    make_results(folder)

    def illustrated(*findings: object) -> str:
        text = write_report(*findings)
        for path in re.findall(r"\]\((figures/[^)]+)\)", text):
            picture = folder / "reports" / path
            picture.parent.mkdir(exist_ok=True)
            Image.new("RGB", (1196, 400), "white").save(picture)
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(report, "draw_figures", lambda *_: None)
        patch.setattr(report, "write_report", illustrated)
        report.main([])
    return folder / "reports"


@pytest.fixture(scope="module")
def markdown(reports: Path) -> str:
    return (reports / "report.md").read_text(encoding="utf-8") + "\n" + SAMPLE


@pytest.fixture(scope="module")
def page(reports: Path, markdown: str) -> str:
    return write_page(markdown, CARDS, reports / "figures")


@pytest.fixture(scope="module")
def tab(page: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    file = tmp_path_factory.mktemp("opened") / "report.html"
    file.write_text(page, encoding="utf-8")
    with opened(file) as tab:
        yield tab


def headings(text: str) -> list[str]:
    """The headings of an HTML page, in their order, without markup."""
    return [
        html.unescape(re.sub("<[^>]+>", "", heading)) for heading in re.findall(r"(?s)<h[1-6]\b[^>]*>(.*?)</h", text)
    ]


def markdown_headings(text: str) -> list[str]:
    return [re.sub("[`*]", "", heading) for heading in re.findall(r"(?m)^#+ (.*)$", text)]


def attributes(page: str, name: str) -> list[str]:
    """The values that an attribute has anywhere in the elements of a page."""
    body = page.partition("</head>")[2]
    return [html.unescape(value) for value in re.findall(rf'<[^>]*\s{name}="([^"]*)"', body)]


def test_the_stage_writes_it_with_every_heading_of_the_report(reports: Path):
    written = (reports / "report.html").read_text(encoding="utf-8")
    wanted = markdown_headings((reports / "report.md").read_text(encoding="utf-8"))
    assert len(wanted) > 30
    assert headings(written)[: len(wanted)] == wanted


def test_the_committed_page_is_that_of_the_committed_report():
    committed = ROOT / "reports/report.html"
    if not committed.exists():
        pytest.skip("no page is committed yet")
    wanted = markdown_headings((ROOT / "reports/report.md").read_text(encoding="utf-8"))
    text = committed.read_text(encoding="utf-8")
    assert headings(text)[: len(wanted)] == wanted
    assert len(text) < 5_000_000


def test_it_needs_no_other_file(page: str):
    assert {source.partition(",")[0] for source in attributes(page, "src")} == {"data:image/webp;base64"}
    assert not re.search(r"<(script|link|iframe|object|embed)\b[^>]*(src|href)=\"(?!data:,)", page)
    assert not re.search(r"@import|url\(", page.partition("</head>")[0])
    assert [link for link in attributes(page, "href") if not link.startswith("#")] == ["https://example.org/"]


def test_the_same_report_gives_the_same_bytes(reports: Path, markdown: str, page: str):
    assert write_page(markdown, CARDS, reports / "figures") == page


def test_pictures_keep_their_words_and_their_size(markdown: str, page: str):
    wanted = re.findall(r"!\[([^\]]+)\]", markdown)
    assert attributes(page, "alt") == [*wanted, "Any picture"]
    assert set(attributes(page, "width")) == {"1196"}
    assert set(attributes(page, "height")) == {"400"}
    assert set(attributes(page, "loading")) == {"lazy"}


def test_links_lead_to_places_in_the_page(page: str):
    ids = attributes(page, "id")
    assert len(ids) == len(set(ids))
    links = [link[1:] for link in attributes(page, "href") if link.startswith("#")]
    assert set(links) <= set(ids)
    assert {"card-numpy", "card-numpy-limits", "card-torch", "sample", "cards"} <= set(links)
    assert "the parameters (<code>params.yaml</code>)" in page
    assert "<span><code>data/claims.yaml</code></span>, " in page


def test_cards_without_a_page_are_named_as_files(reports: Path):
    page = write_page("# Title\n\n[A card](cards/numpy.md)\n", {}, reports / "figures")
    assert "A card (<code>reports/cards/numpy.md</code>)" in page
    assert "Model cards" not in page


def test_verdicts_are_badges(page: str):
    badges = re.findall(r'<td[^>]*><span class="verdict [a-z-]+">([^<]+)</span></td>', page)
    assert set(badges) == set(VERDICTS)
    assert "it is supported</td>" in page


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("figures/none.png", r"none.png is missing; run `dvc repro`$"),
        ("figures/damaged.png", r"damaged.png cannot be read; run `dvc repro`$"),
        ("https://example.org/x.png", r"^reports/report.md shows https://example.org/x.png, which is not a picture in"),
    ],
)
def test_a_picture_that_cannot_be_had_is_named(tmp_path: Path, source: str, message: str):
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    with pytest.raises(StudyError, match=message) as caught:
        write_page(f"# Title\n\n![Words]({source})\n", {}, tmp_path)
    assert "\n" not in str(caught.value)


def test_transparent_pictures_stand_on_white(tmp_path: Path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (4, 4), "white").save(tmp_path / "white.png")
    sources = [
        attributes(write_page(f"# Title\n\n![Words](figures/{name}.png)\n", {}, tmp_path), "src")
        for name in ("clear", "white")
    ]
    assert sources[0] == sources[1]


def test_it_loads_without_a_request_or_a_complaint(tab: Tab):
    for width in (390, 1280):
        tab.open(width)
    assert tab.complaints == []
    assert {url for url in tab.requests if not url.startswith("data:")} == {tab.file.as_uri()}


def test_every_picture_shows(tab: Tab):
    sizes = tab.open().evaluate(
        """async () => {
            const pictures = [...document.images];
            for (const picture of pictures) picture.loading = "eager";
            await Promise.all(pictures.map((picture) => picture.decode()));
            return pictures.map((picture) => picture.naturalWidth);
        }"""
    )
    assert len(sizes) > 30
    assert set(sizes) == {1196}


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_only_boxes_scroll_sideways(tab: Tab, width: int):
    page = tab.open(width)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("[...document.querySelectorAll('.table')].some((box) => box.scrollWidth > box.clientWidth)")


def test_a_figure_is_enlarged_in_its_box(tab: Tab):
    page = tab.open(390)
    picture = page.locator("figure img").first
    assert picture.bounding_box()["width"] < 390
    picture.click()
    assert picture.bounding_box()["width"] == 1196
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.keyboard.press("Space")
    assert picture.bounding_box()["width"] < 390


def test_contents_fold_on_a_telephone_and_follow_the_text(tab: Tab):
    page = tab.open(390)
    link = page.locator("nav a[href='#sample']")
    assert not link.is_visible()
    page.locator("summary").click()
    link.click()
    assert not link.is_visible()
    page = tab.open(1280)
    assert link.is_visible()
    link.click()
    page.wait_for_selector("nav a[href='#sample'][aria-current]")


def column(tab: Tab, place: int) -> list[str]:
    """The sample table's cells in one column, from the top."""
    rows = tab.page.locator("#sample ~ .table").first.locator("tbody tr")
    return rows.locator(f"td:nth-child({place})").all_inner_texts()


def test_tables_sort_by_what_their_cells_mean(tab: Tab):
    page = tab.open()
    table = page.locator("#sample ~ .table").first
    number, word, share, layers = (
        table.get_by_role("columnheader", name=name) for name in ("number", "word", "share", "layers")
    )
    assert column(tab, 1) == list(CELLS)
    number.click()
    assert (column(tab, 1), number.get_attribute("aria-sort")) == (ASCENDING, "ascending")
    number.click()
    assert (column(tab, 1), number.get_attribute("aria-sort")) == ([*ASCENDING[-2::-1], "–"], "descending")
    word.get_by_role("button").press("Enter")
    assert column(tab, 2) == ["no"] * 3 + ["yes"] * 4
    assert column(tab, 1)[:3] == ["1e-5", "−0.0100", "–"]  # as they stood among themselves
    assert number.get_attribute("aria-sort") is None
    share.get_by_role("button").press("Space")
    assert column(tab, 3) == ["0 of 3"] * 3 + ["1 of 3"] * 2 + ["2 of 3"] * 2
    layers.click()
    assert [int(cell.split("-")[0]) for cell in column(tab, 4)] == [64 * place for place in range(len(CELLS))]


def background(tab: Tab) -> str:
    return tab.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_colours_follow_the_system_until_switched(tab: Tab):
    tab.open(colours="light")
    light = background(tab)
    page = tab.open(colours="dark")
    dark = background(tab)
    assert dark != light
    page.get_by_role("button", name="Switch between light and dark").click()
    assert background(tab) == light
    page.reload()
    assert background(tab) == light
    page.get_by_role("button", name="Switch between light and dark").click()
    assert background(tab) == dark


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_text_stands_out_from_what_it_is_on(tab: Tab, colours: str):
    contrasts = tab.open(colours=colours).evaluate(
        """() => {
            const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const shine = (colour) => {
                const [r, g, b] = channels(colour).map((value) => {
                    const share = value / 255;
                    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ground = (element) => {
                const colour = getComputedStyle(element).backgroundColor;
                return channels(colour)[3] === 0 ? ground(element.parentElement) : colour;
            };
            const found = {};
            for (const element of document.querySelectorAll("body, h1, h4, p, a, code, th, td, summary, .verdict")) {
                const [text, behind] = [shine(getComputedStyle(element).color), shine(ground(element))];
                const contrast = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
                const kind = `${element.tagName} ${element.className}`;
                found[kind] = Math.min(found[kind] ?? Infinity, contrast);
            }
            return found;
        }"""
    )
    assert len(contrasts) > 10
    assert {kind: contrast for kind, contrast in contrasts.items() if contrast < 4.5} == {}


def test_without_a_browser_its_tests_are_skipped_or_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    for variable, outcome in (("", pytest.skip.Exception), ("1", pytest.fail.Exception)):
        monkeypatch.setenv("REQUIRE_BROWSER", variable)
        with pytest.raises(outcome, match="make browser"), opened(tmp_path / "report.html"):
            pass
