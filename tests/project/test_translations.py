"""Every sentence of the page is translated, and the catalogue that is shipped is the one that is written down."""

import importlib.util
import sys

from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def translate():
    """The tool as a module; it adds folders to sys.path, which are taken out again."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("docs_translate", ROOT / "docs" / "translate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def test_nothing_is_missing_doubtful_or_out_of_date(translate, capsys):
    assert (translate.main(["--check"]), capsys.readouterr().err) == (0, "")


def test_what_is_wrong_with_a_catalogue_is_told(translate):
    from babel.messages.catalog import Catalog

    catalogue = Catalog(locale="de")
    catalogue.add("Hello %(name)s", "Hallo %(nome)s")
    catalogue.add("Use `run`", "Benutze `lauf`")
    catalogue.add("Fine", "Gut", flags=["fuzzy"])
    catalogue.add("Empty", "")
    catalogue.add(("%(n)s file", "%(n)s files"), ("%(n)s Datei", "Dateien"))
    wanted = dict.fromkeys(
        ("Hello %(name)s", "Use `run`", "Fine", "Empty", "New", ("%(n)s file", "%(n)s files")), "a page"
    )
    said = [complaint.partition(":")[0] for complaint in translate.wrong(catalogue, wanted)]
    assert said == [
        "other names or code than in the sentence", "other names or code than in the sentence", "doubtful", "not translated",
        "not in the catalogue", "other names than in the sentence",
    ]  # fmt: skip
