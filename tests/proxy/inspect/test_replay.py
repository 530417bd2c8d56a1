"""A request sent once more: a copy, through the door, with a key that nobody sees, to no other host."""

import asyncio
import io
import json
import logging

import pytest

from mitmproxy import io as mitmproxy_io
from mitmproxy import options
from mitmproxy.http import HTTPFlow, Response
from mitmproxy.test import tflow, tutils
from tests.proxy.rig import Upstream, once, plain
from tests.proxy.runtime_rig import CHAT, new_home, running

from codex_manager.engine.messages import Answer, UpstreamCutError
from codex_manager.proxy.dispatch import LeanMaster
from codex_manager.proxy.incoming import Admission, Incoming
from codex_manager.proxy.inspect.flow_view import FlowView
from codex_manager.proxy.inspect.limits import RingLimits
from codex_manager.proxy.inspect.replay import Replay
from codex_manager.proxy.inspect.ring import Ring
from codex_manager.testing import answers as a


LOCAL = "sk-local-0123456789abcdef"


async def fine(body):
    return plain(account_id="id", account_label="Work", strategy="sticky")


class Door:
    """Admits everything and answers as the test says."""

    response_headers = True

    def __init__(self, carry_out=fine):
        self.carry_out = carry_out
        self.seen = []

    def serves(self, host):
        return host in {"127.0.0.1", "api.openai.com"}

    def admit_again(self, method, target, headers, length) -> Admission | Answer:
        incoming = Incoming(method=method, target=target, headers=headers, content_length=length)
        return Admission(incoming=incoming, client="default", headers=headers)

    async def carry(self, admission, body):
        self.seen.append((admission, body))
        return await self.carry_out(body)

    def capture(self):
        return 1000


class Page:
    """A master as `web` has one."""

    def __init__(self, door, *before):
        self.master = LeanMaster(options.Options())
        self.view = FlowView()
        self.replay = Replay(door)
        self.master.addons.add(*before, self.view, Ring(lambda: RingLimits(100, 10**9)), self.replay)

    def request(self, path="/v1/chat/completions", *, host="127.0.0.1", body=CHAT, **headers):
        fields = {"Host": host, "Authorization": "Bearer [codex-manager]", "Content-Type": "application/json"} | headers
        flow = tflow.tflow(req=tutils.treq(method=b"POST", path=path.encode(), content=body), resp=True)
        flow.request.host = host
        flow.request.headers.clear()
        for name, value in fields.items():
            flow.request.headers[name] = value
        flow.live = False
        flow.comment, flow.marked = "mine", ":pushpin:"
        flow.metadata["codex_manager"] = {"account": "old"}
        self.view.requestheaders(flow)
        return flow

    async def again(self, flow) -> list[HTTPFlow]:
        before = set(self.view._store)
        self.master.commands.call("replay.client", [flow])
        async with asyncio.timeout(10):
            while self.master.commands.call("replay.client.count"):
                await asyncio.sleep(0.005)
        return [f for name, f in self.view._store.items() if name not in before and isinstance(f, HTTPFlow)]


async def test_a_copy_is_answered_and_the_original_stays():
    door = Door()
    there = Page(door)
    original = there.request(**{"X-Codex-Manager-Session": "s"})
    state = original.get_state()
    (made,) = await there.again(original)
    assert original.get_state() == state
    assert made.response is not None
    assert (made.response.status_code, made.response.content) == (200, b'{"ok":true}')
    assert made.is_replay == "request"
    assert (made.comment, made.marked, made.live, made.error) == ("Work · sticky", "", False, None)
    assert made.metadata["codex_manager"]["account"] == "Work"
    assert made.metadata["codex_manager"]["client"] == "default"
    ((admission, body),) = door.seen
    assert body == CHAT
    assert admission.headers == ((b"Content-Type", b"application/json"), (b"X-Codex-Manager-Session", b"s"))


async def test_a_key_that_a_user_typed_is_not_kept_and_not_used():
    door = Door()
    there = Page(door)
    (made,) = await there.again(there.request(Authorization="Bearer sk-typed", Cookie="a=b"))
    assert made.request.headers["authorization"] == "Bearer [codex-manager]"
    assert made.request.headers["cookie"] == "[codex-manager]"
    assert b"sk-typed" not in repr(door.seen).encode()


async def test_what_is_kept_of_the_answer_is_bounded():
    async def carry(body):
        return Upstream().answer(once(b"x" * 900, b"y" * 900), account_id="id")

    there = Page(Door(carry))
    (made,) = await there.again(there.request())
    assert made.response is not None
    assert made.response.raw_content == b"x" * 900 + b"y" * 100
    assert made.metadata["codex_manager"]["kept"] == "1000 of 1800 bytes"


async def test_an_answer_that_breaks_off_says_so():
    async def pieces():
        yield b"x"
        raise UpstreamCutError

    upstream = Upstream()

    async def carry(body):
        return upstream.answer(pieces())

    there = Page(Door(carry))
    (made,) = await there.again(there.request())
    assert made.error is not None
    assert made.response is not None
    assert made.response.raw_content == b"x"
    assert upstream.closed == 1


async def test_a_door_that_breaks_leaves_a_flow_that_says_so(caplog):
    async def carry(body):
        raise ValueError("sk-secret")

    there = Page(Door(carry))
    (made,) = await there.again(there.request())
    assert made.error is not None
    assert not made.live
    assert "sk-secret" not in caplog.text


@pytest.mark.parametrize("host", ["example.org", "169.254.169.254", "api.openai.com.evil.example", ""])
async def test_no_other_host_is_ever_reached(caplog, host):
    door = Door()
    there = Page(door)
    assert await there.again(there.request(host=host)) == []
    assert "not sent again" in caplog.text
    assert door.seen == []


async def test_an_addon_cannot_send_it_elsewhere(caplog):
    class Mapper:
        def request(self, flow):
            flow.request.host = "example.org"

    door = Door()
    there = Page(door, Mapper())
    (made,) = await there.again(there.request())
    assert made.response is None
    assert made.error is not None
    assert door.seen == []
    assert "example.org" not in caplog.text


async def test_an_addon_may_answer():
    class Mapper:
        def request(self, flow):
            flow.response = Response.make(203, b"mapped")

    door = Door()
    there = Page(door, Mapper())
    (made,) = await there.again(there.request())
    assert made.response is not None
    assert made.response.status_code == 203
    assert door.seen == []


@pytest.mark.parametrize("kills", [False, True])
async def test_a_user_may_hold_it_and_change_or_kill_it(kills):
    class Holder:
        held: HTTPFlow | None = None

        def request(self, flow):
            flow.intercept()
            self.held = flow

    holder, door = Holder(), Door()
    there = Page(door, holder)
    answered = asyncio.create_task(there.again(there.request()))
    async with asyncio.timeout(5):
        while (held := holder.held) is None:
            await asyncio.sleep(0.005)
    assert door.seen == []
    held.request.content = b"changed"
    if kills:
        held.kill()
    else:
        held.resume()
    (made,) = await answered
    assert [body for _, body in door.seen] == ([] if kills else [b"changed"])
    assert (made.error is not None) == kills


async def test_all_of_them_can_be_given_up():
    async def carry(body):
        await asyncio.Event().wait()

    there = Page(Door(carry))
    flow = there.request()
    for _ in range(6):
        there.master.commands.call("replay.client", [flow])
    await asyncio.sleep(0.01)
    assert there.replay.count() == 6
    there.master.commands.call("replay.client.stop")
    async with asyncio.timeout(5):
        while there.replay.count():
            await asyncio.sleep(0.005)
    made = [each for each in there.view._store.values() if each is not flow]
    assert len(made) == 4, "the others had not begun"
    assert all(each.error is not None and not each.live for each in made)


def unfit(name):
    if name == "tcp":
        return tflow.ttcpflow()
    flow = tflow.twebsocketflow() if name == "websocket" else tflow.tflow(resp=True)
    flow.live = name == "live"
    flow.intercepted = name == "intercepted"
    if name == "no body":
        flow.request.content = None
    return flow


@pytest.mark.parametrize("name", ["websocket", "tcp", "live", "intercepted", "no body"])
async def test_what_cannot_be_sent_again_is_named(caplog, name):
    caplog.set_level(logging.WARNING)
    there = Page(Door())
    assert await there.again(unfit(name)) == []
    assert "not sent again" in caplog.text


async def test_over_the_real_door(tmp_path, caplog):
    """Failover, our own key in no flow, no other host, none of our own pages, and nothing once it is closed."""
    caplog.set_level(logging.WARNING)
    async with new_home(tmp_path, "sk-work", "sk-home") as home:
        home.create("sk-work", "sk-home")
        home.fake.always("sk-work", a.rate_limited(retry_after=20))
        home.configure("routing:\n  strategy: priority\n", api_key=LOCAL)
        async with running(home) as runtime:
            there = Page(runtime)
            (made,) = await there.again(there.request())
            assert made.response is not None
            assert made.response.status_code == 200
            assert made.comment.startswith("Home · priority · 2nd try (Work 429) · gpt-4o · ")
            assert made.marked == ":twisted_rightwards_arrows:"
            assert [seen.body for seen in home.fake.log] == [CHAT, CHAT]

            stream = json.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "x"}]})
            for host in ("api.openai.com", "localhost", "::1"):
                (made,) = await there.again(there.request(host=host, body=stream.encode()))
                assert made.response is not None
                assert made.response.raw_content is not None
                assert made.response.raw_content.rstrip().endswith(b"data: [DONE]")
                assert "→" in made.comment
            count = len(home.fake.log)

            for host in ("example.org", "10.0.0.1", "api.openai.com.evil.example"):
                assert await there.again(there.request(host=host)) == []
            for path in ("/codex-manager/api/status", "/health", "/metrics", "/v1/../metrics", "//x.example/v1", "x"):
                for made in await there.again(there.request(path)):
                    assert made.response is not None
                    assert made.response.status_code >= 400
                    assert made.comment.startswith("refused: ")
            assert len(home.fake.log) == count

            with io.BytesIO() as written:
                writer = mitmproxy_io.FlowWriter(written)
                for flow in there.view._store.values():
                    writer.add(flow)
                saved = written.getvalue()
            assert all(key not in saved for key in (LOCAL.encode(), b"sk-work", b"sk-home"))
            assert LOCAL not in caplog.text
            await runtime.close()
            assert await there.again(there.request()) == []
