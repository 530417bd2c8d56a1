"""The variables that make programs trust our authority, and how three shells are told.

Law: a variable that *replaces* a program's roots gets the bundle, which has the system's roots in it; one that *adds* to
them gets our certificates alone. No secret is ever in one.
"""

import re
import shlex
import sys

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


__all__ = ["SHELLS", "VARIABLES", "Variable", "client_environment", "render", "shell_of"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable, and who reads it."""

    name: str
    kind: str
    """`bundle`, `ca` or the value itself."""
    readers: str


VARIABLES = (
    Variable(
        "SSL_CERT_FILE",
        "bundle",
        "OpenSSL, Python's ssl (openai, httpx, aiohttp), curl, Codex CLI, OpenCode, Go on Linux",
    ),
    Variable("REQUESTS_CA_BUNDLE", "bundle", "Python requests, which does not look at SSL_CERT_FILE"),
    Variable("CURL_CA_BUNDLE", "bundle", "curl, also where it is not built with OpenSSL; Python requests"),
    Variable("CODEX_CA_CERTIFICATE", "bundle", "Codex CLI"),
    Variable("NODE_EXTRA_CA_CERTS", "ca", "Node and OpenCode, which add it to the roots they were built with"),
    Variable("NODE_USE_ENV_PROXY", "1", "Node 24 and later: use HTTPS_PROXY at all"),
)
"""Tried client by client with each variable alone, but for Go (docs/certificates.md)."""
SHELLS = ("sh", "fish", "powershell")


def client_environment(bundle: Path, ca: Path) -> dict[str, str]:
    """Every variable with its value."""
    files = {"bundle": str(bundle), "ca": str(ca)}
    return {variable.name: files.get(variable.kind, variable.kind) for variable in VARIABLES}


def render(environment: Mapping[str, str | None], shell: str) -> str:
    """Lines that set (or, for None, unset) these variables in a shell."""
    return "".join(f"{_line(name, value, shell)}\n" for name, value in environment.items())


def shell_of(environ: Mapping[str, str]) -> str:
    """The shell of a session, as far as `$SHELL` tells; on Windows, where nobody sets it, PowerShell."""
    name = re.split(r"[\\/]", environ.get("SHELL", ""))[-1]
    if name.startswith("fish"):
        return "fish"
    return "powershell" if name.startswith("pwsh") or (sys.platform == "win32" and not name) else "sh"


def _line(name: str, value: str | None, shell: str) -> str:
    if shell == "fish":
        return f"set -e {name}" if value is None else f"set -gx {name} {_fish(value)}"
    if shell == "powershell":
        return (
            f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
            if value is None
            else f"$env:{name} = '{value.replace(chr(39), chr(39) * 2)}'"
        )
    return f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"


def _fish(value: str) -> str:
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"
