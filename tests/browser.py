"""A page of the test's own in the system's Chromium, which is cut off from any network."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
OPTIONS = [*QUIET, "--disable-component-update", "--disable-sync"]


def chromium() -> str:
    """The path of the browser. Where there is none the test is skipped or, with REQUIRE_BROWSER, fails."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        stop = pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip
        stop("there is no Chromium: run make browser")
    return found


class Tab:
    """The page, what it has asked for so far, and what the browser had to say about it."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page, self.file = page, file
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.complaints.append(f"{request.url[:80]} failed"))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, width: int = 1280, colours: str = "light") -> Page:
        """Load the file anew, with nothing remembered, in a window of this width on a system of these colours."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=colours, reduced_motion="reduce")
        self.page.goto(self.file.as_uri())
        self.page.evaluate("localStorage.clear()")
        self.page.reload()
        return self.page


@contextmanager
def opened(file: Path) -> Iterator[Tab]:
    """Start the browser; all that it may load is `file`."""
    path = chromium()
    options = [*OPTIONS, "--no-sandbox"] if os.geteuid() == 0 else OPTIONS

    def guard(route: Route) -> None:
        if route.request.url.partition("#")[0] == file.as_uri():
            route.continue_()
        else:
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        context = browser.new_context(offline=True)
        context.route("**/*", guard)
        yield Tab(context.new_page(), file)
        browser.close()
