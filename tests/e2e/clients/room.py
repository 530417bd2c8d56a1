"""A thread in a network and mounts of its own: `api.openai.com` is this machine there, and nothing else can be reached.

Linux only, and needs the right to make namespaces. What is called in the room, and every thread and process started by it,
sees the room's `/etc/hosts` and the room's loopback interface; the test stays outside and can read the objects.
"""

import contextlib
import os
import subprocess
import threading

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self


__all__ = ["NoRoomError", "Room"]

HOSTS = "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 {names}\n"


class NoRoomError(Exception):
    """This machine gives no namespaces: why."""


class Room:
    """`with Room(folder, "api.openai.com") as room: room.call(function)`."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._hosts = folder / "hosts"
        self._hosts.write_text(HOSTS.format(names=" ".join(names)), encoding="ascii")
        self._resolver = folder / "resolv.conf"
        self._resolver.write_text("", encoding="ascii")
        self._pool = ThreadPoolExecutor(1, "room", initializer=self._furnish)
        self._trouble: Exception | None = None
        self._inside: int | None = None

    def __enter__(self) -> Self:
        self._pool.submit(lambda: None).result(30)
        if self._trouble is not None:
            self._pool.shutdown()
            raise NoRoomError(f"no namespaces: {self._trouble}") from self._trouble
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def call[T](self, function: Callable[[], T]) -> T:
        """What the function returns, called in the room; at once when we are in it already."""
        if threading.get_ident() == self._inside:
            return function()
        return self._pool.submit(function).result()

    @contextlib.contextmanager
    def inside[T](self, context: AbstractContextManager[T]) -> Iterator[T]:
        """Enter and leave a context in the room."""
        entered = self.call(context.__enter__)
        try:
            yield entered
        finally:
            self.call(lambda: context.__exit__(None, None, None))

    def _furnish(self) -> None:
        try:
            os.unshare(os.CLONE_NEWNS | os.CLONE_NEWNET)
            self._inside = threading.get_ident()
            for command in (
                ["ip", "link", "set", "lo", "up"],
                ["mount", "--make-rprivate", "/"],
                ["mount", "--bind", str(self._hosts), "/etc/hosts"],
                ["mount", "--bind", str(self._resolver), str(Path("/etc/resolv.conf").resolve())],
            ):
                subprocess.run(command, check=True, capture_output=True, timeout=10)
        except (AttributeError, OSError, subprocess.SubprocessError) as error:
            self._trouble = error
