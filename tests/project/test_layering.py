"""The house stands as drawn in docs/architecture.md: who may import whom, never back, no circles."""

import ast

from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
SOURCES = {"addon": ROOT / "addon", "cli": ROOT / "cli", "certs": ROOT / "certs"}

ALLOWED = {
    "core": set(),
    "ledger": {"core"},
    "provider": {"core", "certs"},
    "vault": {"core"},
    "certs": set(),
    "config": {"core"},
    "accounts": {"vault", "ledger", "provider", "config", "core"},
    "doctor": {"vault", "ledger", "provider", "config", "certs", "core"},
    "engine": {"core"},
    "testing": {"core"},
    "proxy": {"engine", "accounts", "doctor", "ledger", "provider", "vault", "certs", "core", "config"},
    "cli": {"accounts", "doctor", "certs", "vault", "ledger", "provider", "core", "config", "testing"},
}
ONLY_IN = {
    "mitmproxy": {"proxy"}, "aiohttp": {"engine"}, "click": {"cli"}, "keyring": {"vault"}, "secretstorage": {"vault"}, "uvloop": {"proxy"},
    "genai_prices": {"ledger"}, "prometheus_client": {"proxy"}, "sqlite3": {"vault", "ledger"},
    "tornado": {"proxy"}, "jinja2": {"proxy"}, "textual": {"cli"}, "rich": {"cli"},
}  # fmt: skip
PURE = {
    "__future__", "bisect", "collections", "contextlib", "dataclasses", "email", "enum", "fnmatch", "functools", "hashlib", "heapq",
    "hmac", "itertools", "json", "math", "operator", "random", "re", "string", "types", "typing", "datetime", "decimal", "urllib",
    "gzip", "zlib", "abc", "traceback", "ipaddress", "unicodedata",
}  # fmt: skip


def part_of(module: str) -> str | None:
    """`codex_manager.engine.loop` is of `engine`; what is not ours is of nothing."""
    names = module.split(".")
    if names[0] == "codex_manager":
        return names[1] if len(names) > 1 and names[1] in ALLOWED else "base"
    return {"codex_manager_cli": "cli", "codex_manager_certs": "certs"}.get(names[0])


def imports() -> list[tuple[str, str, str]]:
    found = []
    for root in SOURCES.values():
        for path in root.rglob("*.py"):
            importer = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found += [(str(path.relative_to(ROOT)), importer, alias.name) for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{path}: import by absolute name"
                    found += [(str(path.relative_to(ROOT)), importer, f"{node.module}.{a.name}") for a in node.names]
    return found


IMPORTS = imports()


def test_parts_import_only_what_the_drawing_allows():
    wrong = [
        f"{path}: {part_of(importer)} imports {imported}"
        for path, importer, imported in IMPORTS
        if (source := part_of(importer)) not in {None, "base"}
        and (target := part_of(imported)) not in {None, "base", source}
        and target not in ALLOWED[source]
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_only_where_it_belongs(library):
    wrong = [
        f"{path} imports {imported}"
        for path, importer, imported in IMPORTS
        if imported.split(".")[0] == library and part_of(importer) not in ONLY_IN[library] and path != "addon/main.py"
    ]
    assert wrong == []


def test_core_is_pure():
    """Standard library without I/O, clocks or sockets."""
    wrong = [
        f"{path} imports {imported}"
        for path, importer, imported in IMPORTS
        if part_of(importer) == "core" and imported.split(".")[0] not in PURE | {"codex_manager"}
    ]
    assert wrong == []


def test_the_entry_script_hands_over_the_addons_and_nothing_else():
    script = ROOT / "addon" / "main.py"
    tree = ast.parse(script.read_text(encoding="utf-8"))
    assert all(isinstance(node, ast.Expr | ast.Import | ast.ImportFrom | ast.Assign) for node in tree.body)
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 20
