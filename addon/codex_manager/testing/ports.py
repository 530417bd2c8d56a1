"""Ports that do not answer: what a client meets when the network or the machine behind it is at fault.

Each holds its port while the block runs, so that no other program can take it in between.
"""

import contextlib
import socket

from collections.abc import Iterator


__all__ = ["blackhole", "full_port", "refused_port"]

FILLERS = 4
"""Connections that fill a queue of length 0; Linux lets in one or two more than it was told."""


@contextlib.contextmanager
def refused_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that refuses connections: bound, not listening."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind((host, 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def blackhole(host: str = "127.0.0.1") -> Iterator[int]:
    """A port that accepts connections and never says anything."""
    with socket.create_server((host, 0), backlog=1024) as sock:
        yield sock.getsockname()[1]


@contextlib.contextmanager
def full_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port whose queue is full: connecting to it takes until the client's own timeout (on Linux)."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_server((host, 0), backlog=0))
        for _ in range(FILLERS):
            filler = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]
