"""The languages of the page: which there are, which one a browser gets, and the templates in each.

English is written in the code; other languages are catalogues of gettext beside it (`locale/`). Law: a sentence without a
translation is shown in English, never as a key or an error.
"""

import functools
import gettext
import time

from pathlib import Path
from typing import Any, Final

import jinja2

from codex_manager.proxy.web import phrases, words


__all__ = ["LANGUAGES", "Language", "choose", "language"]

HERE = Path(__file__).parent
DOMAIN: Final = "codex-manager"
LANGUAGES: Final = {"en": "English", "de": "Deutsch"}
"""Each in its own name, for the menu."""


class Language:
    """Templates and sentences in one language."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._translations = gettext.translation(DOMAIN, HERE / "locale", [code], fallback=True)
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self.environment.install_gettext_translations(self._translations, newstyle=True)  # type: ignore[attr-defined]  # of the extension
        self.environment.globals |= {"languages": LANGUAGES, "lang": code, "now": time.time, "tr": self.translate}
        self.environment.filters |= {**words.FILTERS, "told": self.phrase}

    def translate(self, sentence: str) -> str:
        """In this language; nothing stays nothing (of an empty text gettext makes the head of the catalogue)."""
        return self._translations.gettext(sentence) if sentence else sentence

    def phrase(self, sentence: str) -> str:
        """A sentence of the core, names and figures in it left as they are."""
        return phrases.phrase(sentence, self.translate)

    def render(self, template: str, values: dict[str, Any]) -> str:
        """A template with values, escaped."""
        return self.environment.get_template(template).render(values)


@functools.cache
def language(code: str) -> Language:
    """Made once."""
    return Language(code)


def choose(wanted: str | None, configured: str, accepted: str) -> str:
    """The language for a browser.

    Args:
        wanted: chosen on the page; None or one we have not when nothing was.
        configured: `ui.language`.
        accepted: the browser's `Accept-Language` (RFC 9110 section 12.5.4).
    """
    for code in (wanted, configured):
        if code in LANGUAGES:
            return code
    ranked: list[tuple[float, str]] = []
    for part in accepted[:1000].split(","):
        tag, _, parameter = part.strip().partition(";")
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        ranked.append((-quality, tag.strip().lower().partition("-")[0]))
    return next(
        (code for quality, code in sorted(ranked, key=lambda r: r[0]) if quality < 0 and code in LANGUAGES), "en"
    )
