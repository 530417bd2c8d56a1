"""The listener stops accepting, closes who only waits, and spares who is being served."""

import asyncio
import socket

import pytest

from tests.proxy.rig import FakeDoor, ask, plain, post, read_reply, serving


async def test_stopping_refuses_new_clients_and_keeps_old_ones():
    async def carry(seen):
        return plain()

    async with serving(FakeDoor(carry)) as rig:
        reader, writer = await rig.connect()
        writer.write(post())
        await read_reply(reader)
        rig.listener.stop()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await rig.connect()
        writer.write(post())
        assert (await read_reply(reader)).status == 200
        writer.close()


async def test_dropping_spares_the_busy():
    go = asyncio.Event()

    async def carry(seen):
        await go.wait()
        return plain()

    async with serving(FakeDoor(carry)) as rig:
        idle_reader, idle_writer = await rig.connect()
        reader, writer = await rig.connect()
        writer.write(post())
        while not rig.door.seen:
            await asyncio.sleep(0.01)
        rig.bridge.draining = True
        rig.listener.drop(rig.bridge.busy_clients().__contains__)
        assert await asyncio.wait_for(idle_reader.read(), 2) == b""
        go.set()
        assert (await read_reply(reader)).status == 200
        assert await asyncio.wait_for(reader.read(), 2) == b""  # drained: not kept
        writer.close()
        idle_writer.close()


async def test_a_port_can_be_chosen_by_the_system_and_is_told():
    async def carry(seen):
        return plain()

    async with serving(FakeDoor(carry)) as rig:
        assert rig.port > 0
        with pytest.raises(OSError, match="in use"):
            await rig.listener.listen("127.0.0.1", rig.port)


async def test_a_burst_of_connections_waits_in_the_backlog():
    """200 connects before anything is accepted: none is refused or dropped."""

    async def carry(seen):
        return plain()

    async with serving(FakeDoor(carry)) as rig:
        links = []
        for _ in range(200):
            link = socket.socket()
            link.settimeout(2)
            link.connect(("127.0.0.1", rig.port))  # the event loop stands still meanwhile
            links.append(link)
        assert (await ask(rig, post())).status == 200
        for link in links:
            link.close()
