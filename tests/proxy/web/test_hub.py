"""What open pages are told: rendered once for all, sent where it is new, to whoever may see it, and nothing when nobody looks."""

import asyncio
import contextlib
import logging

from typing import Any

import pytest

from tests.proxy.web.page_rig import visiting
from websockets import exceptions
from websockets.asyncio import client

from codex_manager.config.paths import Paths
from codex_manager.proxy.web import hub as module
from codex_manager.proxy.web.hub import LONGEST_WORD, MOST_TOPICS, MOST_WORDS, Hub


class Reader:
    """An open page as the hub knows it."""

    def __init__(self, *topics, language="en"):
        self.topics, self.language = list(topics), language
        self.got = []
        self.closed = None

    def bring(self, name, parts):
        if parts is not None and (not self.got or self.got[-1] != (name, dict(parts))):
            self.got.append((name, dict(parts)))

    def close(self, code):
        self.closed = code


class Counted:
    """A topic that says how often it was rendered."""

    def __init__(self, made="x"):
        self.made, self.times, self.words = made, 0, []

    def __call__(self, language, word=None):
        self.times += 1
        self.words.append(word)
        return self.made if isinstance(self.made, dict) else f"{self.made}{language.code}"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "TICK_S", 0.001)


@contextlib.asynccontextmanager
async def looking(hub, *readers):
    for reader in readers:
        hub.join(reader)
    try:
        yield
    finally:
        await hub.close()


def hub_of() -> Any:
    """A hub that takes readers of ours for pages."""
    return Hub()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_nobody_looks_and_nothing_is_rendered():
    hub, topic = hub_of(), Counted()
    hub.topic("t", topic, interval_s=0)
    await asyncio.sleep(0.01)
    reader = Reader("t")
    async with looking(hub, reader):
        await until(lambda: topic.times > 2)
        hub.leave(reader)
        await until(lambda: hub._running.done())
        seen = topic.times
        await asyncio.sleep(0.01)
        assert topic.times == seen
        assert not hub._shown


async def test_many_who_look_share_one_rendering_for_each_language():
    hub, topic = hub_of(), Counted()
    hub.topic("t", topic, interval_s=1000)
    readers = [Reader("t", language=code) for code in ("en", "en", "de", "en", "de")]
    async with looking(hub, *readers):
        await until(lambda: all(each.got for each in readers))
    assert topic.times == 2
    assert [each.got for each in readers] == [[("t", {"": f"x{each.language}"})] for each in readers]
    assert {each.closed for each in readers} == {1012}  # htmx connects again after this one, not after 1001


async def test_who_comes_later_gets_what_is_there_and_another_language_its_own():
    hub, topic = hub_of(), Counted()
    hub.topic("t", topic, interval_s=1000)
    early, late, german = Reader("t"), Reader("t"), Reader("t", language="de")
    async with looking(hub, early):
        await until(lambda: early.got)
        hub.join(late)
        hub.join(german)
        await until(lambda: late.got and german.got)
        assert (topic.times, german.got) == (2, [("t", {"": "xde"})])
        hub.hurry("t")
        await until(lambda: topic.times == 4)
        hub.hurry("nothing of this name")


async def test_a_topic_that_fails_is_said_once_and_the_others_go_on(caplog):
    hub, good = hub_of(), Counted()
    hub.topic("bad", lambda language: str(1 / 0), interval_s=0)
    hub.topic("good", good, interval_s=0)
    reader = Reader("bad", "good")
    with caplog.at_level(logging.ERROR):
        async with looking(hub, reader):
            await until(lambda: good.times > 3)
    assert {name for name, _ in reader.got} == {"good"}
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text


async def test_a_word_is_rendered_by_itself_and_forgotten_with_its_last_page():
    hub, topic = hub_of(), Counted({"a": "1"})
    hub.family("best", topic, interval_s=1000)
    one, two = Reader("best:gpt-5"), Reader("best:")
    async with looking(hub, one, two):
        await until(lambda: one.got and two.got)
        assert sorted(topic.words) == ["", "gpt-5"]
        hub.leave(one)
        assert list(hub._shown) == ["best:"]


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (["t"], True),
        (["t", "f:x", "f:"], True),
        ([], False),
        (["nothing"], False),
        (["t:word"], False),
        (["f"], False),
        (["f:" + "x" * LONGEST_WORD], True),
        (["f:" + "x" * (LONGEST_WORD + 1)], False),
        (["t"] * MOST_TOPICS, True),
        (["t"] * (MOST_TOPICS + 1), False),
    ],
)
def test_what_may_be_asked_for(names, known):
    hub = hub_of()
    hub.topic("t", Counted())
    hub.family("f", Counted())
    assert hub.knows(names) is known


async def test_different_words_are_bounded():
    hub = hub_of()
    hub.family("f", Counted(), interval_s=1000)
    async with looking(hub, *(Reader(f"f:{number}") for number in range(MOST_WORDS))):
        assert hub.knows(["f:0"])
        assert not hub.knows(["f:another"])


# Over a real socket ---------------------------------------------------------------------------------------------------


def connect(visitor, path="/codex/live?topic=t", cookies=None, **options):
    kept = "; ".join(f"{name}={value}" for name, value in (visitor.cookies if cookies is None else cookies).items())
    address = visitor.url.replace("http:", "ws:") + path
    return client.connect(
        address, additional_headers={"Cookie": kept}, open_timeout=20, max_size=None, max_queue=1, **options
    )


async def refused(visitor, path="/codex/live?topic=t", **options):
    with pytest.raises(exceptions.InvalidStatus) as caught:
        async with connect(visitor, path, **options):
            pass
    return caught.value.response.status_code


async def test_an_open_page_gets_what_is_new_and_only_that(tmp_path):
    async with visiting(Paths(tmp_path, tmp_path), config="metering: {enabled: false}\n") as visitor:
        parts = {"a": "<p id=a>1</p>", "b": "<p id=b>1</p>"}
        visitor.face.hub.topic("t", lambda language: dict(parts), interval_s=0)
        assert await refused(visitor, cookies={}) == 403
        assert await refused(visitor, origin="http://evil.example") == 403
        assert await refused(visitor, "/codex/live?topic=nothing") == 404
        assert await refused(visitor, "/codex/live") == 404
        async with connect(visitor, origin=visitor.url) as live, asyncio.timeout(20):
            assert await live.recv() == parts["a"] + parts["b"]
            parts["b"] = "<p id=b>2</p>"
            assert await live.recv() == parts["b"]
            await live.send("pages have nothing to say here")
            parts["a"] = "<p id=a>ü</p>"
            assert await live.recv() == parts["a"]
            await visitor.face.hub.close()
            with pytest.raises(exceptions.ConnectionClosed) as caught:
                await live.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
        await until(lambda: not visitor.face.hub.open)


async def test_a_page_that_does_not_read_holds_one_message_and_gets_the_newest(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TICK_S", 0.02)
    async with visiting(Paths(tmp_path, tmp_path), config="metering: {enabled: false}\n") as visitor:
        big = "x" * 4_000_000  # more than the sockets take
        count = [0]

        def render(language):
            count[0] += 1
            return f"{count[0]} {big}"

        visitor.face.hub.topic("t", render, interval_s=0)
        async with connect(visitor) as live, asyncio.timeout(20):
            await until(lambda: count[0] > 30)
            (mine,) = visitor.face.hub.open
            assert len(mine._sent) == 1
            made, seen = count[0], [0]
            while seen[-1] < made:  # sockets and client hold some that came before it stopped reading
                seen.append(int((await live.recv()).partition(" ")[0]))
            assert len(seen) < made - 10, "those in between were left out"
        await until(lambda: not visitor.face.hub.open)
