"""Which language a browser gets, and that what is put into a sentence is never taken for markup."""

import pytest

from codex_manager.core.telling.reasons import AGAINST, FAILED
from codex_manager.proxy.web.language import choose, language
from codex_manager.proxy.web.phrases import PATTERNS


@pytest.mark.parametrize(
    ("wanted", "configured", "accepted", "code"),
    [
        (None, "browser", "de-AT,en;q=0.8", "de"), (None, "browser", "fr;q=1, de;q=0.5, en;q=0.9", "en"), (None, "browser", "", "en"),
        (None, "browser", "de;q=0, fr", "en"), (None, "browser", "de;q=x", "en"), ("de", "en", "en", "de"), ("xx", "de", "en", "de"),
        (None, "en", "de", "en"), (None, "browser", ",;=,\x00" * 500, "en"),
    ],
)  # fmt: skip
def test_what_was_chosen_goes_before_what_is_configured_and_that_before_the_browser(wanted, configured, accepted, code):
    assert choose(wanted, configured, accepted) == code


def test_german_is_spoken_and_english_is_as_written():
    assert language("de").translate("Settings") == "Einstellungen"
    assert language("en").translate("Settings") == "Settings"
    assert language("de").translate("a sentence nobody has translated") == "a sentence nobody has translated"
    assert language("de").translate("") == ""


@pytest.mark.parametrize(
    ("sentence", "german"),
    [
        ("most room left", "am meisten Spielraum"),
        ("its key was refused (invalid_api_key)", "der Schlüssel wurde abgelehnt (invalid_api_key)"),
        ("rate limited, out of credit", "Rate begrenzt, Guthaben aufgebraucht"),
        (
            "daily limit of $5.00 reached, $5.03 spent, counts anew from 2026-11-02 00:00 UTC",
            "Tagesgrenze von $5.00 erreicht, $5.03 ausgegeben, zählt neu ab 2026-11-02 00:00 UTC",
        ),
        ("something new from a later version", "something new from a later version"),
        ("not for this model (100 % <b>)", "nicht für dieses Modell (100 % <b>)"),
        ("", ""),
    ],
)
def test_sentences_of_the_core_are_known_again(sentence, german):
    assert language("de").phrase(sentence) == german
    assert language("en").phrase(sentence) == sentence


def test_all_words_of_the_core_are_known():
    untold = [
        sentence
        for sentence in (*AGAINST.values(), *FAILED.values())
        if sentence not in {"{detail}", "neutral"}
        and sentence not in PATTERNS
        and language("de").phrase(sentence) == sentence
    ]
    assert untold == []


def test_what_is_told_is_escaped_and_code_is_set_as_code():
    environment = language("de").environment
    assert environment.from_string("{{ text | told }}").render(text="<b>50 %</b>") == "&lt;b&gt;50 %&lt;/b&gt;"
    made = environment.from_string("{{ text | ticks }}").render(text="run `a <b>` & `c`")
    assert made == "run <code>a &lt;b&gt;</code> &amp; <code>c</code>"
    assert environment.from_string("{{ tr(text) }}").render(text="<i>100%</i>") == "&lt;i&gt;100%&lt;/i&gt;"
