"""Writing a small precious file: one writer at a time, whole or not at all, readable by its owner only.

Knows files, not what is in them. Law: the file is created with its mode (never chmod'ed after), flushed to the disk
before it takes the old one's place, and a reader sees the old text or the new one, nothing between.
"""

import contextlib
import os
import sys
import tempfile
import time

from collections.abc import Iterator
from pathlib import Path

from codex_manager.config.errors import ConfigError


__all__ = ["exclusive", "write"]

_PATIENCE_S = 10.0  # a `config set` takes some 50 ms; ten seconds of waiting means that something hangs


@contextlib.contextmanager
def exclusive(path: Path, *, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Hold the only right to replace `path`; the lock file beside it stays, the lock ends with the process.

    Raises:
        ConfigError: another process did not finish in time, or the folder is not writable.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise _refusal(lock, error) from None
    try:
        deadline = time.monotonic() + patience_s
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise ConfigError(
                    f"{path} is being changed by another process for more than {patience_s:g} s",
                    hint="let it finish or stop it, then try again",
                )
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)  # ends the lock


def write(path: Path, text: str) -> None:
    """Replace the file's text; a symbolic link stays one and the file it names is replaced.

    Raises:
        ConfigError: the folder is not writable or the disk is full; the old file is as it was.
    """
    target = Path(os.path.realpath(path))
    draft: str | None = None
    try:
        descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-", suffix=".tmp")  # mode 0600
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).replace(target)
        draft = None
        _sync_folder(target.parent)
    except OSError as error:
        raise _refusal(target, error) from None
    finally:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)


def _refusal(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {(error.strerror or str(error)).lower()}",
        hint="make its folder writable for you, or set CODEX_MANAGER_HOME to a folder of your own",
    )


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _sync_folder(folder: Path) -> None:
        """Windows has no such thing."""

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _sync_folder(folder: Path) -> None:
        """The new name is on the disk too, so a power cut cannot bring the old file back."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
