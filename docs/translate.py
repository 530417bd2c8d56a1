"""Keeps the page's catalogues of sentences in step with the program.

    python docs/translate.py           takes over what is new, drops what is gone, and writes the .mo files
    python docs/translate.py --check   says what is missing or out of date, and fails if anything is

A catalogue is `addon/codex_manager/proxy/web/locale/LANGUAGE/LC_MESSAGES/codex-manager.po`; the English sentence is its key. Sentences come from the
templates, from calls of `tr` and `N_`, and from the tables of the program that pages show: settings, prices, the core's words, the doctor's areas.
Law: what is checked is complete: every sentence is translated, holds the same names to be put in, and none is marked as doubtful. A sentence that
nobody asks for any more does no harm until the next run drops it.
"""

import datetime as dt
import io
import re
import sys

from collections import Counter
from collections.abc import Iterator
from pathlib import Path


ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("addon", "cli", "certs")]  # works in a bare checkout, too

from babel.messages.catalog import Catalog  # noqa: E402 - these come after the path that is set above
from babel.messages.extract import extract_python  # noqa: E402
from babel.messages.mofile import write_mo  # noqa: E402
from babel.messages.pofile import read_po, write_po  # noqa: E402
from jinja2 import Environment, nodes  # noqa: E402
from jinja2.ext import babel_extract  # noqa: E402

from codex_manager.config.catalogue import PRICE_FIELDS, SECTIONS, SETTINGS  # noqa: E402
from codex_manager.doctor.finding import AREAS  # noqa: E402
from codex_manager.proxy.web import phrases, settings_form  # noqa: E402
from codex_manager.proxy.web.language import DOMAIN, LANGUAGES  # noqa: E402


WEB = ROOT / "addon" / "codex_manager" / "proxy" / "web"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "tr": None, "N_": None}
TEMPLATES = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
WHEN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""For the heads of the files, so that they change only when a sentence does."""
PLACE = re.compile(r"%\(\w+\)s|\{\w+\}|`[^`]*`")
"""What must be in a translation as it is in the sentence: what is put in, and code."""

type Key = str | tuple[str, str]
"""A sentence, or its singular and plural."""


def main(arguments: list[str]) -> int:
    """Write or check every catalogue."""
    complaints = list(unsafe())
    wanted = dict(sentences())
    for code in LANGUAGES:
        if code == "en":
            continue
        file = WEB / "locale" / code / "LC_MESSAGES" / f"{DOMAIN}.po"
        catalogue = _read(file, code)
        if "--check" not in arguments:
            _renew(catalogue, wanted)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_po(catalogue))
            file.with_suffix(".mo").write_bytes(_mo(catalogue))
        complaints += [f"{code}: {complaint}" for complaint in wrong(catalogue, wanted)]
        mo = file.with_suffix(".mo")
        if not mo.exists() or mo.read_bytes() != _mo(catalogue):
            complaints.append(f"{code}: {mo.name} is not made of {file.name}; run: python docs/translate.py")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


# What is to be translated -------------------------------------------------------------------------------------------------


def sentences() -> Iterator[tuple[Key, str]]:
    """Every sentence of the page, and where it comes from."""
    for path in sorted(WEB.rglob("*.html")):
        where = path.relative_to(WEB).as_posix()
        with path.open("rb") as file:
            for _, _, message, _ in babel_extract(
                file, [key for key in KEYWORDS if key not in {"tr", "N_"}], [], TEMPLATES
            ):
                yield from _keys(message, where)
    for path in sorted(WEB.glob("*.py")):
        with path.open("rb") as file:
            for _, _, message, _ in extract_python(file, KEYWORDS, [], {}):
                yield from _keys(message, path.name)
    for table, texts in {
        "settings": [setting.description for setting in SETTINGS.values()],
        "sections": SECTIONS.values(),
        "units": [setting.unit for setting in SETTINGS.values() if setting.unit not in {"", "share"}],
        "fixed": settings_form.COMMAND_LINE_ONLY.values(),
        "strategies": settings_form.STRATEGIES.values(),
        "prices": PRICE_FIELDS.values(),
        "doctor": AREAS,
        "core": [*phrases.PLAIN, *phrases.PATTERNS],
    }.items():
        for text in texts:
            yield text, table


def _keys(message: object, where: str) -> Iterator[tuple[Key, str]]:
    if isinstance(message, str):
        message = (message,)
    given = [part for part in message if isinstance(part, str)] if isinstance(message, tuple | list) else []
    if given and given[0]:
        yield (given[0], given[1]) if len(given) > 1 else given[0], where


def unsafe() -> Iterator[str]:
    """Places where a template calls something translated that is not written there: `_()` would take it for markup and for a format."""
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)  # only parses
    for path in sorted(WEB.rglob("*.html")):
        for call in environment.parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            named = isinstance(call.node, nodes.Name) and call.node.name in {"_", "gettext", "ngettext"}
            if named and not all(isinstance(part, nodes.Const) for part in call.args[:1]):
                yield f"{path.relative_to(WEB)} line {call.lineno}: _() is for literals; use tr() or `| told`"


# A catalogue --------------------------------------------------------------------------------------------------------------


def wrong(catalogue: Catalog, wanted: dict[Key, str]) -> Iterator[str]:
    """What is missing, doubtful, or holds other names than its sentence."""
    for key, where in wanted.items():
        message = catalogue.get(key if isinstance(key, str) else key[0])
        if message is None or (isinstance(key, tuple) and message.id != key):
            yield f"not in the catalogue: {key!r} ({where}); run: python docs/translate.py"
            continue
        texts = (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))
        if not all(texts):
            yield f"not translated: {key!r} ({where})"
        elif message.fuzzy:
            yield f"doubtful: {key!r} ({where})"
        elif isinstance(key, str) and Counter(PLACE.findall(key)) != Counter(PLACE.findall(texts[0])):
            yield f"other names or code than in the sentence: {key!r} ({where})"
        elif isinstance(key, tuple) and any(
            set(PLACE.findall(key[1])) != set(PLACE.findall(text)) for text in texts[1:]
        ):
            yield f"other names than in the sentence: {key!r} ({where})"


def _renew(catalogue: Catalog, wanted: dict[Key, str]) -> None:
    """New sentences in, old ones out; nothing is guessed."""
    old = {message.id: message for message in catalogue if message.id}
    for message in old.values():
        catalogue.delete(message.id if isinstance(message.id, str) else message.id[0])
    for key, where in sorted(wanted.items(), key=lambda item: (item[1], str(item[0]))):
        known = old.get(key)
        catalogue.add(key, known.string if known is not None else None, auto_comments=[where])


def _read(file: Path, code: str) -> Catalog:
    if file.exists():
        with file.open("rb") as stream:
            catalogue = read_po(stream, locale=code, domain=DOMAIN)
    else:
        catalogue = Catalog(locale=code, domain=DOMAIN)
    catalogue.project, catalogue.version, catalogue.copyright_holder = "codex-manager", "", "codex-manager"
    catalogue.header_comment = f"# The page of codex-manager in the language {code}. Kept in step by docs/translate.py."
    catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = ""
    catalogue.creation_date = catalogue.revision_date = WHEN
    catalogue.fuzzy = False
    return catalogue


def _po(catalogue: Catalog) -> bytes:
    stream = io.BytesIO()
    write_po(stream, catalogue, width=160, no_location=True)
    return re.sub(
        rb'"Generated-By: [^"]*\\n"\n', b"", stream.getvalue()
    )  # the version of the tool is nobody's business


class _Plain(Catalog):
    """With a head that says what is needed to read it, and neither when nor by which version of the tool it was made."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [("Content-Type", "text/plain; charset=utf-8"), ("Plural-Forms", self.plural_forms)]


def _mo(catalogue: Catalog) -> bytes:
    plain = _Plain(locale=catalogue.locale, domain=DOMAIN, fuzzy=False)
    for message in catalogue:
        if message.id:
            plain.add(message.id, message.string)
    stream = io.BytesIO()
    write_mo(stream, plain)
    return stream.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
