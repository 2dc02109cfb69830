"""The report's page in the system's Chromium, without a network: on a telephone, by keyboard, in the dark, in print."""

import math
import os
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.test_page import CELLS, write

QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")
ASCENDING = ["−0.2", "−0.0100", "1e-5", "+0.01 [−0.02, 0.04]", "0.8747 ± 0.0020", "10,000", "–"]
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
COLOURS = """(all) => all.map((element) => {
    let behind = element;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    const { fill, color } = getComputedStyle(element);
    return [element.outerHTML, element.tagName === "text" ? fill : color, getComputedStyle(behind).backgroundColor];
})"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page; an error in it or a request for another file fails the test."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip)("there is no Chromium: run make browser")
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(write(file.parent)[0], encoding="utf-8")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET, chromium_sandbox=os.geteuid() != 0)
        page = browser.new_context(offline=True).new_page()
        for event in ("request", "console", "pageerror"):
            page.on(event, lambda what: complaints.append(getattr(what, "url", None) or str(what)))
        page.goto(file.as_uri())
        yield page
    assert [each for each in complaints if not each.startswith(("data:", file.as_uri()))] == []


def load(page: Page, width: int = 1280, colours: str = "light", anchor: str = "") -> Page:
    """Load the page again, with nothing stored, in a window of this width on a system with these colours."""
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=colours, reduced_motion="reduce", media="screen")
    page.evaluate("localStorage.clear()")
    page.goto(page.url.split("#")[0] + anchor)
    page.reload()
    return page


def luminance(colour: str) -> float:
    shares = [float(each) / (255 if "rgb(" in colour else 1) for each in re.findall(r"\d[\d.]*", colour)]
    r, g, b = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize(("width", "fit"), [(390, [True, False, False]), (1280, [True, True, False])])
def test_text_has_contrast_and_tables_fit_or_show_where_they_go_on(page, width, fit, colours):
    load(page, width, colours).locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    found = page.locator("main :is(h1, h4, p, a, b, code, th, td, span, text), header a").evaluate_all(COLOURS)
    contrasts = {each: math.exp(abs(math.log(luminance(ink) / luminance(paper)))) for each, ink, paper in found}
    assert min(contrasts.values()) >= 4.5, min(contrasts, key=contrasts.get)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for box, fits in zip(page.locator(".table").all(), fit, strict=True):
        shades = []
        for left in (0, 9999):
            top = box.evaluate(
                "(box, x) => (box.scrollIntoView(), box.scrollTo(x, 0), box.getBoundingClientRect().y)", left
            )
            shades.append(page.screenshot(clip={"x": width - 5, "y": top + 4, "width": 1, "height": 1}))
        assert (shades[0] == shades[1]) == fits
        assert (box.evaluate("(box) => box.scrollLeft === 0"), box.get_attribute("tabindex")) == (fits, "0")
        assert box.locator("td").first.bounding_box()["x"] >= 0
    assert page.locator(".verdict").evaluate_all("all => all.every(e => e.offsetWidth <= e.parentElement.clientWidth)")


def test_links_and_the_address_unfold_sections_and_print_all(page):
    load(page, colours="dark").locator("a[href='#appendix.md/runs']").first.click()
    unfolded = page.locator("details[open] > summary")
    unfolded.wait_for()
    assert unfolded.all_inner_texts() == ["Runs #"]
    for anchor, titles in (("#appendix.md/part", ["Runs #"]), ("#cards/a.md", ["Model cards #", "A #"])):
        load(page, colours="dark", anchor=anchor)
        assert unfolded.all_inner_texts() == titles
    hidden = "(all) => all.filter((each) => !each.checkVisibility()).length"
    content = page.locator("main > :not(.explanation) :is(p, td)")
    assert content.evaluate_all(hidden) > 50
    page.emulate_media(media="print")
    assert content.evaluate_all(hidden) == 0
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"


def test_tables_sort_by_the_numbers_in_their_cells(page):
    box = load(page, anchor="#appendix.md/same").locator("details .table").first
    number, word = (box.get_by_role("columnheader", name=name) for name in ("number", "word"))
    numbers = box.locator("td:nth-child(1)")
    assert numbers.all_inner_texts() == list(CELLS)
    for expected, direction in ((ASCENDING, "ascending"), ([*ASCENDING[-2::-1], "–"], "descending")):
        number.get_by_role("button").click()
        assert (numbers.all_inner_texts(), number.get_attribute("aria-sort")) == (expected, direction)
    word.get_by_role("button").press("Enter")
    assert numbers.all_inner_texts()[:3] == ["1e-5", "−0.0100", "–"]  # the rows with "no", in the order that they had
    assert number.get_attribute("aria-sort") is None


def test_colours_follow_the_system_until_switched(page):
    light, dark = (load(page, colours=colours).evaluate(BACKGROUND) for colours in ("light", "dark"))
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(BACKGROUND) == light != dark
    page.reload()
    assert page.evaluate(BACKGROUND) == light


@pytest.mark.parametrize("z", [-20, -3, 9.5])
def test_the_explanation_says_what_the_formulas_give(page, z):
    block = load(page, 390).locator("figure + .explanation")

    def shown(name: str) -> float:
        text = block.locator(f"[data-value='{name}']").inner_text().replace("−", "-").replace("no step", "0")
        number = float(re.search(r"[-\d.]+", text)[0]) * (1000 if "thousand" in text else 1)
        return math.inf if "never" in text else number

    block.get_by_role("slider").fill(str(z + 0.5))
    block.get_by_role("slider").press("ArrowLeft")
    p = 1 / (1 + math.exp(-z))
    assert [shown("p"), shown("up"), shown("down")] == pytest.approx([p, 6 * (1 - p), 6 * p], rel=0.05)
    trained = []
    for name, signal in (("published", lambda p: 2 * (1 - p) / 10 * p * (1 - p)), ("entropy", lambda p: 1 - p)):
        at = z
        path = [z, *(at := at + 0.1 * signal(1 / (1 + math.exp(-at))) for _ in range(10000))]
        trained.append(path[200])
        needed = sum(each < 0 for each in path) if path[-1] > 0 else math.inf
        assert [shown(name), shown(f"{name}-steps")] == pytest.approx([signal(p), needed], rel=0.05)
    block.get_by_role("button").click()
    assert [shown("published-logit"), shown("entropy-logit")] == pytest.approx(trained, rel=1e-3)
    block.get_by_role("combobox").select_option("0.005")
    assert [shown("rate"), shown("up")] == pytest.approx([0.005, 0.3 * (1 - p)], rel=0.05)
