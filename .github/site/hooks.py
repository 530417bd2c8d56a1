"""What the site needs beyond docs/: the README as its first page, the changelog, and files that pages point at.

Knows mkdocs, nothing of the product. Law: no page is kept twice; what lies elsewhere in the repository is read from there,
and links between the two are turned so that they hold here as well.
"""

import re

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
LICENSE = "LICENSE"


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=as_page(text)))
    files.append(File.generated(config, LICENSE, content=(ROOT / LICENSE).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links out of docs/ (`../CHANGELOG.md`) lead to the pages made of those files."""
    for name, page in PAGES.items():
        markdown = re.sub(rf"\]\(\.\./{re.escape(name)}(#[^)]*)?\)", rf"]({page}\1)", markdown)
    return as_markdown(markdown.replace(f"](../{LICENSE})", f"]({LICENSE})"))


def as_page(text: str) -> str:
    """A file of the repository's top level as one of docs/."""
    text = re.sub(r"\]\(docs/", "](", text)
    for name, page in PAGES.items():
        text = text.replace(f"]({name})", f"]({page})")
    return text


def as_markdown(text: str) -> str:
    """GitHub lets a table or a list follow a paragraph directly; Python-Markdown wants a line between them."""
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        before = lines[-1] if lines else ""
        if not fenced and before.strip() and not line.startswith(" ") and _begins(line, before):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def _begins(line: str, before: str) -> bool:
    """Whether a table or a list begins with this line, right after text."""
    if line.startswith("|"):
        return not before.lstrip().startswith("|")
    item = r"\s*([-*+]|\d+[.)])\s"
    return bool(re.match(item, line)) and not re.match(item, before) and not before.startswith(" ")
