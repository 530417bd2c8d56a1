"""A real Chromium in front of the page of a real proxy. What the browser complains of fails the test, and so does every request to elsewhere."""

import contextlib
import os
import shutil

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.web_support import Site


if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

REQUIRED = os.environ.get("CODEX_MANAGER_REQUIRE_BROWSER")
"""Whether a test may not be left out for want of a browser. All three are read here, because tests have none of these variables."""
AXE = os.environ.get("CODEX_MANAGER_AXE")
"""Where axe.min.js of the package axe-core lies; `.ci/run` fetches it."""
IMAGES = os.environ.get("CODEX_MANAGER_DOC_IMAGES")
"""A folder that screenshots for the documentation go to."""
PATIENCE_MS = 20_000


@contextlib.contextmanager
def chromium() -> Iterator["Browser"]:
    """Debian's Chromium, or the one on the PATH; without one the test is left out, unless that is forbidden."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        if REQUIRED:
            pytest.fail("no Chromium, or no playwright (pip install -e '.[e2e]')")
        pytest.skip("no Chromium here")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*sandbox, "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Window:
    """One page of a browser with cookies of its own, and what went wrong in it."""

    page: "Page"
    site: Site
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of complaints that a test causes on purpose."""

    def open(self, path: str) -> None:
        self.page.goto(self.site.url + path)

    def log_in(self) -> None:
        """By the address that `codex-manager web` prints."""
        self.page.goto(self.site.login)
        self.page.wait_for_url(f"{self.site.url}/codex")

    def blamed(self) -> list[str]:
        return [text for text in self.complaints if not any(part in text for part in self.expected)]


@contextlib.contextmanager
def window(browser: "Browser", site: Site, **options: Any) -> Iterator[Window]:
    """A window as somebody's who has never been here; at its end nothing may have been complained of.

    Args:
        options: of playwright's context: `locale`, `color_scheme`, `viewport`, …
    """
    context = browser.new_context(**{"locale": "en-GB", "timezone_id": "Europe/Berlin", **options})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    opened = Window(page, site)

    def complain(text: str, *, unless: bool) -> None:
        if not unless:
            opened.complaints.append(text)

    own = (site.url, "data:", "blob:", "file:")
    page.on("request", lambda request: complain(f"asked {request.url}", unless=request.url.startswith(own)))
    page.on("websocket", lambda to: complain(f"socket to {to.url}", unless=to.url.startswith(f"ws://{site.host}/")))
    page.on("console", lambda said: complain(f"{said.type}: {said.text}", unless=said.type not in {"error", "warning"}))
    page.on("pageerror", lambda error: complain(f"exception: {error}", unless=False))
    try:
        yield opened
        assert not opened.blamed(), f"the browser complains: {opened.blamed()}"
    finally:
        context.close()


def violations(page: "Page") -> list[str]:
    """What axe-core finds that is serious or critical: rule, and where."""
    if not AXE:
        if REQUIRED:
            pytest.fail("CODEX_MANAGER_AXE names no axe.min.js")
        pytest.skip("CODEX_MANAGER_AXE names no axe.min.js")
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))  # by the debugger, so the page's own policy stays as it is
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['impact']}: {one['id']} at {node['target'][0]}: {node['failureSummary'].splitlines()[-1].strip()}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


AT_HOME = """() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replace(/\\/tmp\\/pytest-\\S*\\/home\\//g, '~/.config/codex-manager/');
}"""
"""Paths as they are outside of tests."""


def picture(page: "Page", name: str) -> None:
    """A screenshot for the documentation, when a folder for them is given."""
    if IMAGES:
        page.evaluate(AT_HOME)
        page.screenshot(path=str(Path(IMAGES) / f"{name}.png"), animations="disabled")
