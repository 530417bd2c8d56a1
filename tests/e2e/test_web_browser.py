"""`codex-manager web` in a real Chromium."""

import pytest

from tests.e2e import browser
from tests.web_support import running_web


pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def chrome():
    with browser.chromium() as running:
        yield running


@pytest.fixture
def site(home):
    with running_web(home) as running:
        yield running


def test_the_printed_address_leads_in_and_the_token_out_of_sight(chrome, site, home):
    """By the file that the browser is sent to, and by the form; the address bar shows no token, and going back does not either."""
    with browser.window(chrome, site) as window:
        page = window.page
        page.goto((home.path / "web.html").as_uri())
        page.wait_for_url(f"{site.url}/codex")
        page.get_by_role("heading", level=1).wait_for()
        page.goto(f"{site.url}/")
        page.wait_for_selector("text=codex-manager")
        assert site.token not in page.content()
        assert page.evaluate("localStorage.length + sessionStorage.length") < 20
        assert site.token not in page.evaluate(
            "JSON.stringify([localStorage, sessionStorage, document.cookie, document.referrer])"
        )

    with browser.window(chrome, site) as window:
        window.expected.append("403")
        page = window.page
        page.goto(f"{site.url}/codex")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").press("Enter")
        page.get_by_text("That is not the token of this run.").wait_for()
        page.get_by_label("Token").fill(site.token)
        page.get_by_label("Token").press("Enter")
        page.wait_for_url(f"{site.url}/codex")
