"""Every page of the dashboard for everybody: no serious violation that axe-core finds, in both themes, at 400 px, in both languages; and no fetch to elsewhere.

With CODEX_MANAGER_DOC_IMAGES the pictures of the documentation are made on the way.
"""

from typing import Any

import openai
import pytest

from tests.e2e import browser
from tests.e2e.conftest import KEYS
from tests.support import LOCAL_KEY, account, make_home
from tests.web_support import running_web

from codex_manager.testing import FakeOpenAI, answers, in_thread


pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGES = {"dashboard": "/codex", "accounts": "/codex/accounts", "settings": "/codex/settings", "about": "/codex/about"}


@pytest.fixture(scope="module")
def chrome():
    with browser.chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A proxy that has served, failed over, and has an account at its limit."""
    with in_thread(FakeOpenAI()) as fake:
        names = dict(zip(("Work", "Personal", "Client project"), KEYS.values(), strict=True))
        for label, key in names.items():
            fake.account(key, organization=f"org-{label.split()[0].lower()}")
        limits: dict[str, dict[str, Any]] = {
            "Work": {"daily_limit_usd": 5.0, "models": ("gpt-*",)},
            "Personal": {"daily_limit_usd": 0.05},
        }
        accounts = [account(label, key, **limits.get(label, {})) for label, key in names.items()]
        home = make_home(
            tmp_path_factory.mktemp("home") / "home", accounts, f"proxy:\n  openai_base_url: {fake.base_url}\n"
        )
        with (
            running_web(home) as running,
            openai.OpenAI(api_key=LOCAL_KEY, base_url=running.proxy.base_url, timeout=20, max_retries=0) as sdk,
        ):
            for number in range(12):
                if number in {3, 7}:
                    fake.script(None, answers.rate_limited(retry_after_ms=20_000))
                sdk.chat.completions.create(
                    model=("gpt-5", "gpt-4o-mini")[number % 2],
                    messages=[{"role": "user", "content": "Hello there. " * 40}],
                )
            yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_serious_violation(chrome, site, name, scheme):
    with browser.window(chrome, site, color_scheme=scheme, viewport={"width": 1280, "height": 900}) as window:
        window.log_in()
        window.open(PAGES[name])
        window.page.wait_for_timeout(1500)  # what is pushed has come
        browser.picture(window.page, f"{name}-{scheme}")
        assert browser.violations(window.page) == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_usable_at_400_px(chrome, site, name, language):
    with browser.window(chrome, site, locale=language, viewport={"width": 400, "height": 800}) as window:
        window.log_in()
        window.open(PAGES[name])
        window.page.wait_for_timeout(1500)
        assert window.page.evaluate("document.documentElement.lang") == language[:2]
        wide = window.page.evaluate(TOO_WIDE)
        assert wide == [], "the page scrolls sideways"
        assert browser.violations(window.page) == []


TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
    [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('[data-scrolls]'))
        .map(e => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right)).slice(0, 12)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forms_in_dialogs_and_the_way_in(chrome, site, scheme):
    with browser.window(chrome, site, color_scheme=scheme) as window:
        window.expected.append("403")
        window.open("/codex")
        window.page.get_by_label("Token").wait_for()
        assert browser.violations(window.page) == []
        window.log_in()
        window.open("/codex/accounts")
        opened = 0
        for button in window.page.locator("[hx-get^='/codex/accounts/'], [hx-get^='/codex/keys/']").all():
            address = button.get_attribute("hx-get") or ""
            if not button.is_visible() or address.endswith("/list"):
                continue
            button.click()
            window.page.locator("dialog[open]").wait_for()
            window.page.wait_for_timeout(200)
            assert browser.violations(window.page) == [], address
            window.page.keyboard.press("Escape")
            window.page.locator("dialog[open]").wait_for(state="hidden")
            opened += 1
        assert opened > 6
