"""Whether others can read or change our files.

Access lists of Windows are not looked at: there the user's profile protects them.
"""

import os
import shlex
import stat

from collections.abc import Iterator
from pathlib import Path

from codex_manager.config.presence import TOKEN_FILE
from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient


__all__ = ["check"]


def check(patient: Patient) -> Iterator[Finding]:
    """Files with a secret in them, files that tell about their owner, and the folders they are in."""
    if os.name == "nt":
        return
    paths = patient.paths
    secret = [
        paths.vault_file, paths.authority_dir / "authority.json", paths.data_dir / TOKEN_FILE, paths.data_dir / "web.html",
    ]  # fmt: skip
    if not patient.config.has_default_key or "@" in (patient.config.upstream.proxy or ""):
        secret.append(paths.config_file)  # otherwise nothing in it is worth hiding
    telling = [paths.ledger_file, paths.data_dir / "ledger.db-wal"]
    findings = [
        *(finding for path in secret for finding in _file(path, secret=True)),
        *(finding for path in telling for finding in _file(path, secret=False)),
        *(finding for path in dict.fromkeys((paths.config_dir, paths.data_dir, paths.authority_dir)) for finding in _folder(path)),
    ]  # fmt: skip
    yield from findings or [ok("permissions", f"only you can read and change what is in {paths.data_dir}")]


def _file(path: Path, *, secret: bool) -> Iterator[Finding]:
    mode = _mode(path)
    if mode is None or not mode & 0o077:
        return
    text, cure = f"others may read {path} (mode {mode:04o})", f"chmod 600 {shlex.quote(str(path))}"
    yield bad("permissions", text, cure) if secret else warn("permissions", text, cure)


def _folder(path: Path) -> Iterator[Finding]:
    mode = _mode(path)
    if mode is not None and mode & 0o022:
        yield bad(
            "permissions",
            f"others may put files into {path} (mode {mode:04o})",
            f"chmod 700 {shlex.quote(str(path))}",
        )


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:  # not there, or not ours to see, which the check that needs it will say
        return None
