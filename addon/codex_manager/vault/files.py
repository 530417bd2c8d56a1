"""Makes files and directories that only their owner may read, from their first moment on.

Law: the mode is given when the thing is made and never changed after, so there is no instant at which somebody else
could have opened it; a permissive umask cannot widen it.
"""

import os
import stat

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from codex_manager.vault.errors import VaultUnwritableError


__all__ = ["create_private", "make_private_dirs", "others_may_read", "sync_dir", "timestamp"]


def timestamp() -> str:
    """Now, UTC, as the vault writes times: fine enough that accounts of one import keep their order."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def make_private_dirs(directory: Path) -> None:
    """Make a directory and its missing parents, each 0700."""
    missing = []
    current = directory
    try:
        while not current.exists():
            missing.append(current)
            current = current.parent
        for current in reversed(missing):
            with suppress(FileExistsError):  # another process was faster; it made it the same way
                current.mkdir(mode=0o700)
    except OSError as error:
        raise _unwritable(current, error) from None


def create_private(path: Path) -> None:
    """Make an empty 0600 file that did not exist.

    Raises:
        FileExistsError: there is something at the path.
        VaultUnwritableError: it cannot be made there.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600))
    except FileExistsError:
        raise
    except OSError as error:
        raise _unwritable(path, error) from None
    sync_dir(path.parent)


def sync_dir(directory: Path) -> None:
    """Put a directory's entries on disk, where the system can (Windows cannot)."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def others_may_read(path: Path) -> bool:
    """Whether the group or the world may read or write the file."""
    return os.name != "nt" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _unwritable(path: Path, error: OSError) -> VaultUnwritableError:
    return VaultUnwritableError(
        f"{path} cannot be made: {(error.strerror or 'unknown error').lower()}",
        hint="make the directory writable for you, or choose another with CODEX_MANAGER_HOME",
    )
