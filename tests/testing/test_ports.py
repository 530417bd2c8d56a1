"""Ports that do not answer, each in its own way."""

import asyncio
import socket
import sys

import pytest

from codex_manager.testing import blackhole, full_port, refused_port


async def test_a_refused_port_refuses():
    with refused_port() as port:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)


async def test_a_blackhole_accepts_and_never_answers():
    with blackhole() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems answer a full queue with a reset")
def test_a_full_port_does_not_even_connect():
    with full_port() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.1)
