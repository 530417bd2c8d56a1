"""The pages hold as plain files and as a site: all are led to, their pictures are safe, their commands exist."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

from pathlib import Path

import click
import pytest

from codex_manager_cli.main import COMMANDS, SECTIONS, cli


ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SITE = ROOT / ".github" / "site"
PICTURES = sorted((DOCS / "images").glob("routing-*.svg"))
PLANNED = {name for lines in SECTIONS.values() for names in lines for name in names.split(", ")}
SVG = "{http://www.w3.org/2000/svg}"

in_repository = pytest.mark.skipif(not SITE.exists(), reason="not part of the source distribution")


@in_repository
def test_every_page_is_in_the_navigation_once():
    pages = re.findall(
        r"^ {6}- (?:.*: )?([a-z]+\.md)$", (SITE / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(pages) == len(set(pages))
    assert {path.name for path in DOCS.glob("*.md")} - set(pages) == set()


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_reads_in_light_and_dark_and_runs_and_fetches_nothing(path):
    text = path.read_text(encoding="utf-8")
    tree = ET.fromstring(text)
    assert tree.find(f"{SVG}title") is not None
    assert tree.find(f"{SVG}desc") is not None, "for those who cannot see it"
    assert "prefers-color-scheme: dark" in text
    assert {element.tag.removeprefix(SVG) for element in tree.iter()} <= {
        "svg", "title", "desc", "style", "defs", "marker", "path", "rect", "circle", "line", "text"
    }  # fmt: skip
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|href|@import|\bon[a-z]+=", text) == []
    colours = [set(re.findall(r"--([a-z-]+):", part)) for part in text.partition("</style>")[0].split("@media")]
    assert colours[0] == colours[1] == set(re.findall(r"var\(--([a-z-]+)\)", text))


def test_there_are_pictures_and_the_routing_page_shows_them_all():
    page = (DOCS / "routing.md").read_text(encoding="utf-8")
    assert len(PICTURES) == 6
    assert {f"images/{path.name}" for path in PICTURES} == set(re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", page))


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    """A bar inside code splits a cell as well, on GitHub and on the site: it is written with a backslash before it."""
    wrong = []
    for path in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]:
        cells = 0
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            if found and cells and found != cells:
                wrong.append(f"{path.name} line {number}")
            cells = found if not cells or not found else cells
    assert wrong == []


def lines_of_shell() -> list[tuple[str, str]]:
    """What pages tell people to type."""
    found = []
    for path in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]:
        if path.name == "cli.md":
            continue
        for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            found += [(path.name, line) for line in re.findall(r"(?<![\w/.-])codex-manager ([a-z].*)", block)]
    return found


def test_commands_that_pages_tell_people_to_type_exist_with_their_options():
    lines = lines_of_shell()
    assert len(lines) > 30
    wrong = [f"{page}: codex-manager {line}" for page, line in lines if not exists(line)]
    assert wrong == []


def exists(line: str) -> bool:
    """Whether the words up to a comment, a pipe or `--` are commands and options of ours."""
    words = re.split(r"\s+#|\s--\s|[|;&)>]", line)[0].split()
    command: click.Command = cli
    if words[0] not in COMMANDS:
        return words[0] in PLANNED
    context = click.Context(cli)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        if found is None:
            return False
        command = found
    options = {
        option for parameter in command.get_params(context) for option in (*parameter.opts, *parameter.secondary_opts)
    }
    return all(word.partition("=")[0] in options for word in words if word.startswith("--"))


@in_repository
@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="pip install -e '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", SITE / "mkdocs.yml", "-d", tmp_path / "site"],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = {path.parent.name for path in (tmp_path / "site").rglob("index.html")}
    assert {"routing", "cli", "changelog", "contributing"} <= pages
    assert not list((tmp_path / "site").rglob("*.py"))
    fetched = {
        host
        for path in (tmp_path / "site").rglob("*.html")
        for host in re.findall(
            r"""<(?:script|link|img)[^>]+(?:src|href)=["']?https?://([^/"']+)""", path.read_text(encoding="utf-8")
        )
    }
    assert fetched == set(), "a reader's browser asks nobody else"
