"""`runs/`: the commands under way that use a proxy of this home, one small file each.

A file is its command's as long as the command's process holds the lock on it; whoever was killed left a file whose
lock is free, and what was made for that command can be cleared away. Knows files and ids, not what the ids mean.
Law: files are made, looked at and removed by one process at a time, so that a new one is never taken for a dead one.
"""

import contextlib
import os
import uuid

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codex_manager.config import lock, storage


__all__ = ["Remains", "Tenant", "any_living", "enter", "remains"]

FOLDER = "runs"


class Tenant:
    """This process as one that uses the proxy. Mutable state: the lock, while it does."""

    def __init__(self, path: Path, held: lock.Lock) -> None:
        self.path = path
        self._held: lock.Lock | None = held

    def note(self, client_key: str) -> None:
        """Remember the id of the client key made for this command, for whoever may have to clear it away."""
        with self.path.open("w", encoding="ascii") as stream:
            stream.write(f"{client_key}\n")
            stream.flush()
            os.fsync(stream.fileno())

    def leave(self, *, cleared: bool) -> None:
        """Use it no more. What was not cleared stays noted, for the next command to clear away."""
        held, self._held = self._held, None
        if held is None:
            return
        with storage.exclusive(_guarded(self.path.parent)):
            held.release()
            if cleared:
                self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Remains:
    """What a command left that was killed."""

    path: Path
    client_key: str | None

    def clear(self) -> None:
        """Everything noted here has been undone."""
        self.path.unlink(missing_ok=True)


def enter(data_folder: Path) -> Tenant:
    """Be known as a user of the proxy from now on.

    Raises:
        ConfigError, OSError: the data folder cannot be written.
    """
    folder = data_folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.run"
    with storage.exclusive(_guarded(folder)):
        held = lock.take(path)
    assert held is not None, "the name is new"
    return Tenant(path, held)


def any_living(data_folder: Path) -> bool:
    """Whether any command uses the proxy now."""
    folder = data_folder / FOLDER
    if not folder.is_dir():
        return False
    with storage.exclusive(_guarded(folder)):
        return any(lock.is_held(path) for path in folder.glob("*.run"))


@contextlib.contextmanager
def remains(data_folder: Path) -> Iterator[list[Remains]]:
    """What killed commands left, nobody else looking at it meanwhile."""
    folder = data_folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    with storage.exclusive(_guarded(folder)):
        yield [Remains(path, _noted(path)) for path in sorted(folder.glob("*.run")) if not lock.is_held(path)]


def _noted(path: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        text = path.read_text(encoding="ascii").strip()
        return str(uuid.UUID(text))
    return None


def _guarded(folder: Path) -> Path:
    return folder / "all"
