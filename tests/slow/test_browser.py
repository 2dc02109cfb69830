"""The report's page in the system's Chromium, without a network: on a telephone, by keyboard and in the dark."""

import os
import shutil
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from stages.reporting.page import write_page
from stages.reporting.style import VERDICTS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")
# Cells as the report has them, in an order that no sorting gives.
CELLS = ("0.8747 ± 0.0020", "−0.0100", "10,000", "–", "+0.01 [−0.02, 0.04]", "1e-5", "−0.2")
ASCENDING = ["−0.2", "−0.0100", "1e-5", "+0.01 [−0.02, 0.04]", "0.8747 ± 0.0020", "10,000", "–"]
WIDE = "| a long cell that is wide " * 4
SAMPLE = "\n".join(
    [
        *("# Title", "", "## Text", "", *("See [the card](cards/numpy.md) and `code`. " * 40, "") * 9),
        *("## Sample", "", "| number | word | layers | a | b | c | d |", "|---:|:---|:---|---|---|---|---|"),
        *(
            f"| {cell} | {'no' if place % 2 else 'yes'} | {place * 64}-{(9 - place) * 32} {WIDE}|"
            for place, cell in enumerate(CELLS)
        ),
        *("", "#### Verdicts", "", "| claim | verdict |", "|---|---|"),
        *(f"| it is {verdict} | {verdict} |" for verdict in VERDICTS),
        *("", "![Words](figures/picture.png)", ""),
    ]
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page; an error in it or a request for another file fails the test."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)("there is no Chromium: run make browser")
    folder = tmp_path_factory.mktemp("page")
    Image.new("RGB", (1196, 400), "white").save(folder / "picture.png")
    file = folder / "report.html"
    file.write_text(write_page({"report.md": SAMPLE, "cards/numpy.md": "# A card\n"}, folder), encoding="utf-8")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        options = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        page = browser.new_context(offline=True).new_page()
        page.on("request", lambda request: complaints.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri())
        yield page
        browser.close()
    assert [each for each in complaints if not each.startswith(("data:", file.as_uri()))] == []


def load(page: Page, width: int = 1280, colours: str = "light") -> Page:
    """Load the page again, with nothing stored, in a window of this width on a system with these colours."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=colours, reduced_motion="reduce")
    page.evaluate("localStorage.clear()")
    page.reload()
    return page


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_only_boxes_scroll_sideways_and_a_figure_is_enlarged_in_its_box(page, width):
    load(page, width)
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(fits)
    assert page.evaluate("[...document.querySelectorAll('.table')].some((box) => box.scrollWidth > box.clientWidth)")
    picture = page.locator("figure img")
    assert picture.bounding_box()["width"] < width
    picture.click()
    assert picture.bounding_box()["width"] == 1196
    assert page.evaluate(fits)
    page.keyboard.press("Space")
    assert picture.bounding_box()["width"] < width


def test_contents_fold_on_a_telephone_and_follow_the_text(page):
    load(page, 390)
    link = page.locator("nav a[href='#sample']")
    assert not link.is_visible()
    page.locator("summary").click()
    link.click()
    assert not link.is_visible()
    load(page, 1280)
    assert link.is_visible()
    link.click()
    page.wait_for_selector("nav a[href='#sample'][aria-current]")


def test_tables_sort_by_the_numbers_in_their_cells(page):
    table = load(page).locator("#sample ~ .table").first

    def column(place: int) -> list[str]:
        return table.locator(f"tbody td:nth-child({place})").all_inner_texts()

    number, word, layers = (table.get_by_role("columnheader", name=name) for name in ("number", "word", "layers"))
    assert column(1) == list(CELLS)
    number.click()
    assert (column(1), number.get_attribute("aria-sort")) == (ASCENDING, "ascending")
    number.click()
    assert (column(1), number.get_attribute("aria-sort")) == ([*ASCENDING[-2::-1], "–"], "descending")
    word.get_by_role("button").press("Enter")
    assert column(2) == ["no"] * 3 + ["yes"] * 4
    assert column(1)[:3] == ["1e-5", "−0.0100", "–"]  # equal rows keep their order
    assert number.get_attribute("aria-sort") is None
    layers.click()
    assert [int(cell.split("-")[0]) for cell in column(3)] == [64 * place for place in range(len(CELLS))]


def test_colours_follow_the_system_until_switched(page):
    def background() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = ((load(page, colours=colours), background())[1] for colours in ("light", "dark"))
    assert dark != light
    switch = page.get_by_role("button", name="Switch between light and dark")
    switch.click()
    assert background() == light
    page.reload()
    assert background() == light


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_text_has_enough_contrast(page, colours):
    contrasts = load(page, colours=colours).evaluate(
        """() => {
            const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const luminance = (colour) => {
                const [r, g, b] = channels(colour).map((value) => {
                    const share = value / 255;
                    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const background = (element) => {
                const colour = getComputedStyle(element).backgroundColor;
                return channels(colour)[3] === 0 ? background(element.parentElement) : colour;
            };
            const found = {};
            for (const element of document.querySelectorAll("body, h1, h4, p, a, code, th, td, summary, .verdict")) {
                const pair = [luminance(getComputedStyle(element).color), luminance(background(element))];
                const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
                const kind = `${element.tagName} ${element.className}`;
                found[kind] = Math.min(found[kind] ?? Infinity, contrast);
            }
            return found;
        }"""
    )
    assert len(contrasts) > 10
    assert {kind: contrast for kind, contrast in contrasts.items() if contrast < 4.5} == {}
