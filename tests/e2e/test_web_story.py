"""The whole story in a real Chromium: from an empty vault by the printed address to accounts, traffic, a failover seen live, another strategy, a limit.

Played in English with a mouse, and in German with nothing but a keyboard.
"""

import re

import openai
import pytest

from tests.e2e import browser
from tests.e2e.conftest import KEYS
from tests.support import LOCAL_KEY, make_home
from tests.web_support import running_web

from codex_manager.testing import answers


pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WORK, PERSONAL = KEYS["limited"], KEYS["healthy"]
QUESTION = "What is a failover, in one sentence?"


@pytest.fixture(scope="module")
def chrome():
    with browser.chromium() as running:
        yield running


@pytest.fixture
def site(fake, isolated_home):
    """A proxy with no accounts yet."""
    with running_web(make_home(isolated_home, (), f"proxy:\n  openai_base_url: {fake.base_url}\n")) as running:
        yield running


@pytest.fixture
def sdk(site):
    with openai.OpenAI(api_key=LOCAL_KEY, base_url=site.proxy.base_url, timeout=20, max_retries=0) as client:
        yield client


def ask(sdk, model="gpt-5", content=QUESTION):
    stream = sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": content}], stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def until_refused(sdk):
    """Spend; how many requests that took."""
    for number in range(1, 10):
        try:
            ask(sdk, model="gpt-5", content="Spend. " * 200)
        except openai.RateLimitError:
            return number
    return 10


def add(page, label, key):
    page.get_by_role("button", name=re.compile("^Add (account|the first account)$")).first.click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_label("Label").fill(label)
    sheet.get_by_label("API key").fill(key)
    sheet.get_by_role("button", name="Add account").click()
    page.get_by_text(f"{label} was added.").wait_for()
    sheet.wait_for(state="hidden")


def test_the_whole_story(chrome, site, sdk, fake):
    with (
        browser.window(chrome, site, viewport={"width": 1400, "height": 900}) as window,
        browser.window(chrome, site) as other,
    ):
        page = window.page
        window.log_in()
        page.get_by_text("There is no account yet.").wait_for()

        # Accounts: one wrong key is refused beside its field, the right ones are taken after OpenAI was asked.
        page.get_by_role("link", name="Accounts").click()
        page.get_by_role("button", name="Add account").click()
        sheet = page.get_by_role("dialog")
        sheet.get_by_label("Label").fill("Work")
        sheet.get_by_label("API key").fill("sk-proj-not-a-key-of-this-openai-0000")
        window.expected.append("422")
        sheet.get_by_role("button", name="Add account").click()
        sheet.locator("#wrong-api_key, #sheet-notes").filter(
            has_text=re.compile("OpenAI|refuse", re.IGNORECASE)
        ).first.wait_for()
        assert sheet.get_by_label("Label").input_value() == "Work", "nothing typed is lost"
        page.keyboard.press("Escape")
        add(page, "Work", WORK)
        add(page, "Personal", PERSONAL)
        assert WORK not in page.content()

        # Traffic: a stream over the proxy, its flow in mitmweb, the conversation and the decision in it.
        other.log_in()
        other.page.get_by_role("heading", name="Latest decisions").wait_for()
        answer = ask(sdk)
        page.get_by_role("link", name="Flows").click()
        row = page.locator("tr:has(td)").first
        row.get_by_text(re.compile(r"^(Work|Personal) · .* · gpt-5 · \d+→\d+ tok · ~?<?\$")).wait_for()
        row.click()
        page.get_by_text("Request", exact=True).first.click()
        page.get_by_text(QUESTION).wait_for()
        page.get_by_text("Response", exact=True).first.click()
        page.get_by_text(answer).wait_for()
        page.get_by_text("View:").click()
        page.get_by_text("codex-manager decision").last.click()
        page.get_by_text(re.compile("least_utilized")).last.wait_for()
        browser.picture(page, "flows-light")

        # A failover appears on a dashboard that nobody touched.
        served = other.page.locator("#feed").inner_text()
        fake.script(None, answers.rate_limited(retry_after_ms=30_000))
        ask(sdk, content="Again, please.")
        other.page.locator("#feed").get_by_text("429").first.wait_for()
        assert other.page.locator("#feed").inner_text() != served
        other.page.get_by_text(re.compile("rate limited")).first.wait_for()

        # Another strategy, in force at once.
        window.open("/codex/settings")
        page.get_by_role("button", name="Use round_robin").click()
        page.get_by_text("Saved and in force.").wait_for()
        before = fake.counts()
        for _ in range(4):
            ask(sdk, model="gpt-4o", content="Round we go.")
        assert {fake.counts(key) - before[key] for key in (WORK, PERSONAL)} == {2}, "in turn"
        window.open("/")
        page.locator("tr:has(td)").filter(has_text="round_robin").first.wait_for()

        # A limit: set on the page, reached by one request, said on the dashboard, and the next request refused.
        window.open("/codex/accounts")
        for label in ("Work", "Personal"):
            page.get_by_role("button", name=f"Edit {label}").click()
            sheet.get_by_label("Daily limit, US dollars").fill("0.0001")
            sheet.get_by_role("button", name="Save").click()
            page.get_by_text(f"{label} was changed.").wait_for()
            sheet.wait_for(state="hidden")
        assert until_refused(sdk) <= 6
        other.page.get_by_text("has reached its").first.wait_for()
        other.page.get_by_text("daily limit").first.wait_for()
        other.page.get_by_text("refused").first.wait_for()


def tab_to(page, accepts, most=60):
    """Press Tab until what has the focus is it; every stop on the way shows that it has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        text, seen = page.evaluate(FOCUSED)
        assert seen, f"no sign of the focus on {text}"
        if accepts in text:
            return
    pytest.fail(f"Tab never came to {accepts}")


FOCUSED = """() => {
    const e = document.activeElement, s = getComputedStyle(e);
    const name = e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || e.name || '';
    const shown = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== 'none' || e === document.body;
    return [name.trim().split('\\n')[0], shown];
}"""


def test_by_keyboard_in_german(chrome, site, sdk, fake):
    with browser.window(chrome, site, locale="de-DE") as window:
        page = window.page
        page.goto(f"{site.url}/codex")
        window.expected.append("403")
        assert page.evaluate("document.documentElement.lang") == "de"
        page.keyboard.type(site.token)  # the field has the focus
        page.keyboard.press("Enter")
        page.get_by_role("navigation").first.wait_for()
        tab_to(page, "Zum Inhalt")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        window.open("/codex/accounts")
        tab_to(page, "Konto hinzufügen")
        page.keyboard.press("Enter")
        page.get_by_role("dialog").wait_for()
        page.wait_for_function("document.activeElement.name === 'label'")
        page.keyboard.type("Arbeit")
        tab_to(page, "API-Schlüssel")
        page.keyboard.type(WORK)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Arbeit").first.wait_for()
        page.get_by_role("dialog").wait_for(state="hidden")
        ask(sdk)
        window.open("/codex")
        page.locator("#feed").get_by_text("gpt-5").first.wait_for()
        window.open("/codex/settings")
        tab_to(page, "round_robin", 120)
        page.keyboard.press("Enter")
        page.locator("#strategy .chosen").get_by_text("round_robin").wait_for()
        assert page.evaluate("document.activeElement.closest('#strategy') !== null"), "the focus is not lost"
