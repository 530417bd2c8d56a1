"""Asks the package index which release is the latest: a process of its own, started by `updates`, seen by nobody.

pip asks, else uv, so that it is the index they are set up with (a company's own, say), through the proxy and with the
certificates they are set up with; that index learns the name of the package and nothing else. Law: what comes back is a
version number or it is nothing.
"""

import contextlib
import importlib.util
import re
import shutil
import subprocess
import sys

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from codex_manager.config.errors import ConfigError
from codex_manager_cli import updates


__all__ = ["latest", "main"]

PACKAGE = "codex-manager"
PATIENCE_S = 60.0  # for an index far away; nobody waits for it
ANSWER = re.compile(r"^codex-manager(?: \(|==)([0-9.]+)\)?\s*$", re.MULTILINE)
"""`codex-manager (0.2.0)` says pip, `codex-manager==0.2.0` says uv."""


def main(arguments: list[str]) -> int:
    """Write down what the index says; 1 when it says nothing."""
    (name,) = arguments
    release = latest()
    if release is None:
        return 1
    file = Path(name)
    with contextlib.suppress(ConfigError):
        updates.write(file, replace(updates.read(file), latest=release))
    return 0


def latest() -> str | None:
    """The latest final release that suits this Python; None when nobody can tell."""
    for command, words in _ways():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(  # noqa: S603 - pip of this interpreter, or uv as the shell would find it
                command, input=words, capture_output=True, text=True, encoding="utf-8", errors="replace",
                timeout=PATIENCE_S, check=True,
            )  # fmt: skip
            found = ANSWER.search(said.stdout)
            if found and updates.RELEASE.fullmatch(found[1]):
                return found[1]
    return None


def _ways() -> Iterator[tuple[list[str], str]]:
    """Commands, each with what it reads."""
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "index", "versions", PACKAGE]
        yield [*pip, "--disable-pip-version-check", "--no-input", "--no-color"], ""
    if uv := shutil.which("uv"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        flags = ["--quiet", "--no-deps", "--no-header", "--no-annotate", "--color=never", "--python-version", version]
        yield [uv, "pip", "compile", *flags, "-"], f"{PACKAGE}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
