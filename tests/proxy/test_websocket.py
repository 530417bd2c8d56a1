"""WebSockets through the whole proxy: handshakes fail over, turns move unseen, everything else is passed on as it came."""

import asyncio
import json
import time

from typing import Any

import pytest

from tests.proxy.websocket_rig import CREATE, KEY, RefusedError, open_socket, through

from codex_manager.testing import FakeOpenAI, answers, toxics


REALTIME = "/v1/realtime?model=gpt-realtime"
FRAMES = "*#create"


@pytest.fixture
async def fake():
    async with FakeOpenAI() as server:
        yield server


def served_by(turn, fake, key):
    return turn[-1]["response"]["metadata"]["served_by"] == fake._accounts[key].marker


def handshakes(fake):
    return [(seen.key, seen.status) for seen in fake.log if seen.method == "GET"]


def frames(fake):
    return [(seen.key, seen.status) for seen in fake.log if seen.method == "WS"]


# --- the handshake ---


@pytest.mark.parametrize(
    "step",
    [
        answers.rate_limited(retry_after=30),
        answers.insufficient_quota(),
        answers.invalid_key(),
        answers.deactivated(),
        answers.server_error(500),
        answers.server_error(522),
        answers.forbidden(),
    ],
    ids=str,
)
async def test_a_handshake_one_account_refuses_is_made_with_the_next(fake, tmp_path, step):
    """The client sees its 101 and who serves it, nothing of the account that could not."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.script("sk-a", step, path="/v1/responses")
        async with open_socket(proxy.port) as client:
            assert client.headers["x-account-label"] == "b"
            assert served_by(await client.turn(), fake, "sk-b")
    assert [key for key, _ in handshakes(fake)] == ["sk-a", "sk-b"]


@pytest.mark.parametrize("step", [answers.ok() | toxics.reset_before_headers(), answers.garbage()], ids=str)
async def test_a_handshake_that_was_not_answered_has_done_nothing_and_is_repeated(fake, tmp_path, step):
    """No model has worked on it, so it may be sent again, unlike a request."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.script("sk-a", step, path="/v1/responses")
        async with open_socket(proxy.port) as client:
            assert (await client.turn())[-1]["type"] == "response.completed"
    assert len(handshakes(fake)) == 2


async def test_a_handshake_nobody_accepts_is_refused_in_words(fake, tmp_path):
    """As over HTTP: 429 with the earliest time, each account by name."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        for key in ("sk-a", "sk-b"):
            fake.script(key, answers.rate_limited(retry_after=30))
        with pytest.raises(RefusedError) as refused:
            async with open_socket(proxy.port):
                pass
        assert refused.value.status == 429
        assert refused.value.error["code"] == "rate_limit_exceeded"
        assert "retry-after" in refused.value.headers


async def test_an_upstream_that_is_gone_is_a_502(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a") as proxy:
        await fake.stop()
        with pytest.raises(RefusedError) as refused:
            async with open_socket(proxy.port):
                pass
        assert refused.value.status == 502


async def test_no_key_of_the_client_and_no_cookie_goes_up(fake, tmp_path):
    """The upstream sees the account's key, once; the client's headers are there as it wrote them."""
    lines = (
        "openai-beta: responses_websockets=2026-02-06",
        "Cookie: a=b",
        "OpenAI-Organization: org-client",
        "X-Mine: 1",
    )
    async with through(fake, tmp_path, "sk-a") as proxy, open_socket(proxy.port, "/v1/responses", *lines) as client:
        await client.turn()
    seen = fake.log[0]
    assert seen.header_values("authorization") == ["Bearer sk-a"]
    assert seen.header("openai-beta") == "responses_websockets=2026-02-06"
    assert seen.header("x-mine") == "1"
    assert not seen.header_values("cookie")
    assert not seen.header_values("openai-organization")
    assert KEY not in repr(seen.headers)


@pytest.mark.parametrize("rest", ["", ", openai-beta.realtime-v1"])
async def test_a_key_in_the_subprotocol_is_the_local_key_and_stays_here(fake, tmp_path, rest):
    protocols = f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{KEY}, openai-organization.org-x{rest}"
    async with (
        through(fake, tmp_path, "sk-a") as proxy,
        open_socket(proxy.port, REALTIME, protocols, key=None) as client,
    ):
        assert (await client.receive())["type"] == "session.created"
        assert client.headers["sec-websocket-protocol"] == "realtime"
    seen = fake.log[0]
    assert seen.header("sec-websocket-protocol") == f"realtime{rest}"
    assert seen.header_values("authorization") == ["Bearer sk-a"]


@pytest.mark.parametrize(
    ("path", "lines", "key", "status"),
    [
        ("/v1/responses", (), "sk-foreign", 401),
        ("/v1/responses", (), None, 401),
        (REALTIME, ("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-foreign",), None, 401),
        (REALTIME, ("Origin: https://evil.example",), KEY, 403),
        ("/v1/files", (), KEY, 426),
        ("/v1/chat/completions", (), KEY, 426),
        ("/v1/realtime/client_secrets", (), KEY, 426),
        ("/v1/responses", ("Sec-WebSocket-Version: 13",), KEY, 400),
        ("/v1/responses", ("Upgrade: websocket",), KEY, 400),
        ("/v1/responses", ("Content-Length: 2",), KEY, 400),
    ],
)
async def test_what_is_no_sound_handshake_with_a_local_key_never_goes_up(fake, tmp_path, path, lines, key, status):
    async with through(fake, tmp_path, "sk-a") as proxy:
        with pytest.raises(RefusedError) as refused:
            async with open_socket(proxy.port, path, *lines, key=key):
                pass
        assert refused.value.status == status
        assert "sk-foreign" not in refused.value.body.decode()
    assert fake.log == []


# --- messages ---


@pytest.mark.parametrize("deflate", [False, True])
async def test_messages_go_both_ways_as_they_are(fake, tmp_path, deflate):
    """Text and binary, empty and large, compressed when client and upstream agree on that."""
    async with through(fake, tmp_path, "sk-a") as proxy, open_socket(proxy.port, REALTIME, deflate=deflate) as client:
        assert ("sec-websocket-extensions" in client.headers) is deflate
        assert (await client.receive())["type"] == "session.created"
        large = "ü" * 700_000
        await client.send({"type": "session.update", "session": {"instructions": large}})
        assert (await client.receive())["session"]["instructions"] == large
        await client.send(b"\x00\xff")
        assert (await client.receive())["type"] == "error"
        await client.send("")
        assert (await client.receive())["type"] == "error"
        await client.close()
    assert fake.log[0].messages[1:] == [b"\x00\xff", ""]
    assert (fake.log[0].header("sec-websocket-extensions") is not None) is deflate


async def test_a_message_over_the_limit_closes_with_1009(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", config="limits:\n  replay_body_mib: 1\n") as proxy:
        async with open_socket(proxy.port, REALTIME) as client:
            await client.receive()
            await client.send("x" * (2**20 + 1))
            assert await client.end() == 1009
        await proxy.until_idle()


async def test_a_ping_is_answered_here_and_shows_the_upstream_that_somebody_is_there(fake, tmp_path):
    from wsproto.events import Ping

    async with through(fake, tmp_path, "sk-a") as proxy, open_socket(proxy.port, REALTIME) as client:
        await client.receive()
        client.writer.write(client.ws.send(Ping(b"there?")))
        await client.send({"type": "session.update", "session": {}})
        await client.receive()
        assert client.pongs == [b"there?"]
        await fake.until(lambda: fake.log[0].pings == 1)


# --- turns of Responses ---


@pytest.mark.parametrize(
    "step",
    [
        answers.rate_limited(retry_after=30),
        answers.insufficient_quota(),
        answers.invalid_key(),
        answers.model_not_found(),
        answers.overloaded(),
        answers.server_error(500),
        answers.error_in_stream("rate_limit_exceeded"),
        answers.error_in_stream("server_is_overloaded"),
    ],
    ids=str,
)
async def test_a_turn_that_fails_before_its_first_output_moves_unseen(fake, tmp_path, step):
    """The client's socket stays; the answer is whole and another account's."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        async with open_socket(proxy.port) as client:
            fake.script("sk-a", step, path=FRAMES)
            turn = await client.turn()
            assert served_by(turn, fake, "sk-b")
            assert [event["type"] for event in turn].count("response.created") == 1
            assert served_by(await client.turn(), fake, "sk-b")
        await proxy.until_idle()
    assert [key for key, _ in handshakes(fake)] == ["sk-a", "sk-b"]


async def test_a_turn_walks_past_three_limited_accounts(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b", "sk-c", "sk-d") as proxy:
        for key in ("sk-a", "sk-b", "sk-c"):
            fake.script(key, answers.rate_limited(retry_after=30), path=FRAMES)
        async with open_socket(proxy.port) as client:
            assert served_by(await client.turn(), fake, "sk-d")


async def test_after_output_a_failure_is_passed_on_as_it_came(fake, tmp_path):
    """Nothing can be taken back; the socket ends so that the client's next one is another account's."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.script("sk-a", answers.error_in_stream("rate_limit_exceeded", after=2), path=FRAMES)
        async with open_socket(proxy.port) as client:
            turn = await client.turn()
            assert [event["type"] for event in turn][-1] == "response.failed"
            assert "response.output_text.delta" in [event["type"] for event in turn]
            assert await client.end() == 1013
        async with open_socket(proxy.port) as client:
            assert served_by(await client.turn(), fake, "sk-b")


@pytest.mark.parametrize(
    "tie",
    [
        {"input": [{"type": "reasoning", "encrypted_content": "gAAAA"}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    ],
    ids=lambda tie: next(iter(tie)),
)
async def test_a_turn_tied_to_its_account_is_not_moved(fake, tmp_path, tie):
    """Where no other account could serve it either, the frame is passed on word for word."""
    async with through(fake, tmp_path, "sk-a") as proxy:
        fake.script("sk-a", answers.rate_limited(retry_after=30, message="Rate limit reached."), path=FRAMES)
        async with open_socket(proxy.port) as client:
            turn = await client.turn(**tie)
            assert turn == [
                {
                    "type": "error",
                    "status": 429,
                    "error": {
                        "message": "Rate limit reached.",
                        "type": "requests",
                        "param": None,
                        "code": "rate_limit_exceeded",
                    },
                    "headers": {"retry-after": "30"},
                }
            ]
    assert [key for key, _ in handshakes(fake)] == ["sk-a"]


@pytest.mark.parametrize(
    "step",
    [answers.rate_limited(retry_after=30), answers.insufficient_quota(), answers.invalid_key()],
    ids=str,
)
async def test_a_tied_turn_another_account_could_serve_whole_ends_the_socket(fake, tmp_path, step):
    """Without the frame, on which Codex would give up or wait: connecting again it is served at once."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        async with open_socket(proxy.port) as client:
            first = (await client.turn())[-1]["response"]["id"]
            fake.script("sk-a", step, path=FRAMES)
            assert await client.turn(previous_response_id=first) == []
            assert (client.closed, client.reason) == (1013, "another account can serve: connect again")
        async with open_socket(proxy.port) as client:
            assert served_by(await client.turn(), fake, "sk-b")


async def test_words_of_the_user_tie_nothing(fake, tmp_path):
    """What looks like a tie inside a string is text."""
    text = json.dumps({"encrypted_content": "x", "previous_response_id": "resp_1", "file_id": "file-1"})
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.script("sk-a", answers.rate_limited(retry_after=30), path=FRAMES)
        async with open_socket(proxy.port) as client:
            assert served_by(await client.turn(input=text), fake, "sk-b")


async def test_a_continued_answer_stays_where_it_is(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy, open_socket(proxy.port) as client:
        first = (await client.turn())[-1]["response"]["id"]
        second = await client.turn(previous_response_id=first)
        assert served_by(second, fake, "sk-a")
        fake.script("sk-a", answers.server_error(500), path=FRAMES)
        failed = await client.turn(previous_response_id=second[-1]["response"]["id"])
        assert failed[-1]["status"] == 500  # no blame of its own and no better place: told as it is


@pytest.mark.parametrize("step", [answers.rate_limited(retry_after=30), answers.insufficient_quota()], ids=str)
async def test_a_warm_up_is_made_again_elsewhere_and_what_continues_it_goes_on(fake, tmp_path, step):
    """As Codex does it: `generate: false` first, then the real turn with the warm-up's id. The client sees one id."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy, open_socket(proxy.port) as client:
        warm = await client.turn(generate=False, instructions="Be brief.")
        assert [event["type"] for event in warm] == ["response.created", "response.completed"]
        name = warm[-1]["response"]["id"]
        fake.script("sk-a", step, path=FRAMES)
        turn = await client.turn(previous_response_id=name)
        assert served_by(turn, fake, "sk-b")
        again = await client.turn(previous_response_id=turn[-1]["response"]["id"])
        assert served_by(again, fake, "sk-b")
        also = await client.turn(previous_response_id=name)
        assert served_by(also, fake, "sk-b")
        bodies = [json.loads(seen.body) for seen in fake.log if seen.method == "WS" and seen.key == "sk-b"]
        assert [body.get("generate") for body in bodies] == [False, None, None, None]
        assert bodies[0] == {**CREATE, "generate": False, "instructions": "Be brief."}
        assert bodies[1]["previous_response_id"] not in {name, None}


async def test_a_turn_its_account_could_not_serve_is_not_sent_there(fake, tmp_path):
    """Another socket of the account was refused for this model: the turn goes elsewhere without asking again."""
    async with (
        through(fake, tmp_path, "sk-a", "sk-b") as proxy,
        open_socket(proxy.port) as first,
        open_socket(proxy.port) as second,
    ):
        fake.script("sk-a", answers.rate_limited(retry_after=30), path=FRAMES)
        assert served_by(await first.turn(), fake, "sk-b")
        assert served_by(await second.turn(), fake, "sk-b")
        assert served_by(await second.turn(), fake, "sk-b")
    assert [frame for frame in frames(fake) if frame[0] == "sk-a"] == [("sk-a", 429)]


async def test_a_model_outside_the_accounts_scope_is_not_sent_there(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b", models=("gpt-4*",)) as proxy, open_socket(proxy.port) as client:
        turn = await client.turn()
        assert turn[-1]["status"] == 403
        assert turn[-1]["error"]["code"] == "model_not_allowed"
        assert served_by(await client.turn(model="gpt-4o"), fake, "sk-a")


async def test_when_all_are_limited_the_client_is_told_once_and_keeps_its_socket(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy, open_socket(proxy.port) as client:
        for key in ("sk-a", "sk-b"):
            fake.script(key, answers.rate_limited(retry_after=2 if key == "sk-b" else 40), path=FRAMES)
        turn = await client.turn()
        assert len(turn) == 1
        assert turn[0]["status"] == 429
        assert turn[0]["error"]["code"] == "rate_limit_exceeded"
        assert "a: rate limited, again in 40s" in turn[0]["error"]["message"]
        await asyncio.sleep(2.1)
        assert served_by(await client.turn(), fake, "sk-b")


async def test_the_callers_own_mistake_is_passed_on_and_nothing_is_marked(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy, open_socket(proxy.port) as client:
        fake.script("sk-a", answers.context_length(), path=FRAMES)
        turn = await client.turn()
        assert turn[-1]["error"]["code"] == "context_length_exceeded"
        await client.send({"type": "no.such.event"})
        assert (await client.receive())["error"]["code"] == "unknown_event"
        assert served_by(await client.turn(), fake, "sk-a")
    assert len(handshakes(fake)) == 1


async def test_events_are_held_no_longer_than_three_seconds(fake, tmp_path):
    """A model that thinks for long: the client learns that its answer has begun."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy, open_socket(proxy.port) as client:
        fake.script("sk-a", answers.ok() | toxics.hang_mid_stream(2), path=FRAMES)
        began = time.monotonic()
        await client.send(CREATE)
        assert (await client.receive())["type"] == "response.created"
        assert 2.5 < time.monotonic() - began < 4.5
        assert (await client.receive())["type"] == "response.in_progress"


async def test_codex_ends_without_a_close_frame_and_leaves_nothing_behind(fake, tmp_path):
    """Warm-up, a turn, gone: the upstream's socket is closed within 100 ms."""
    async with through(fake, tmp_path, "sk-a") as proxy:
        async with open_socket(proxy.port, "/v1/responses", "openai-beta: responses_websockets=2026-02-06") as client:
            warm = await client.turn(generate=False)
            assert served_by(await client.turn(previous_response_id=warm[-1]["response"]["id"]), fake, "sk-a")
            left = time.monotonic()
        await fake.until(lambda: fake.log[0].aborted)
        assert fake.log[0].aborted_at - left < 0.1
        await proxy.until_idle()


# --- Realtime ---


async def test_a_realtime_session_that_is_refused_at_its_first_word_moves(fake, tmp_path):
    """OpenAI accepts the handshake of an account without credit and says so in the first frame."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.always("sk-a", answers.insufficient_quota(), path="/v1/realtime#open")
        async with open_socket(proxy.port, REALTIME) as client:
            assert (await client.receive())["type"] == "session.created"
            turn = await client.turn({"type": "response.create"})
            assert served_by(turn, fake, "sk-b")


async def test_a_realtime_session_moves_while_nothing_was_said(fake, tmp_path):
    """What the client has sent is sent again, and it sees no event about the session twice."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.script("sk-a", answers.insufficient_quota(), path="/v1/realtime#create")
        async with open_socket(proxy.port, REALTIME) as client:
            assert (await client.receive())["type"] == "session.created"
            await client.send({"type": "session.update", "session": {"instructions": "Be brief."}})
            assert (await client.receive())["type"] == "session.updated"
            turn = await client.turn({"type": "response.create"})
            assert turn[0]["type"] == "response.created"
            assert served_by(turn, fake, "sk-b")
    again = next(seen for seen in fake.log if seen.method == "GET" and seen.key == "sk-b")
    assert [json.loads(message)["type"] for message in again.messages] == ["session.update", "response.create"]


async def test_a_realtime_conversation_stays_and_survives_a_limit(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        async with open_socket(proxy.port, REALTIME) as client:
            await client.receive()
            assert served_by(await client.turn({"type": "response.create"}), fake, "sk-a")
            fake.script("sk-a", answers.error_in_stream("rate_limit_exceeded"), path="/v1/realtime#create")
            turn = await client.turn({"type": "response.create"})
            assert turn[-1]["response"]["status_details"]["error"]["code"] == "rate_limit_exceeded"
            assert served_by(await client.turn({"type": "response.create"}), fake, "sk-a")
        async with open_socket(proxy.port, REALTIME) as client:
            assert client.headers["x-account-label"] == "b"


async def test_a_realtime_conversation_without_credit_ends(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy, open_socket(proxy.port, REALTIME) as client:
        await client.receive()
        await client.turn({"type": "response.create"})
        fake.script("sk-a", answers.insufficient_quota(), path="/v1/realtime#create")
        turn = await client.turn({"type": "response.create"})
        assert turn[-1]["error"]["code"] == "insufficient_quota"
        assert await client.end() == 1013


# --- the end ---


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going away"), (1011, "oops"), (4001, "own")])
async def test_the_upstreams_close_is_passed_on(fake, tmp_path, code, reason):
    async with through(fake, tmp_path, "sk-a") as proxy:
        fake.script("sk-a", answers.close_frame(code, reason), path=FRAMES)
        async with open_socket(proxy.port) as client:
            await client.send(CREATE)
            assert await client.end() == code
            assert client.reason == reason
        await proxy.until_idle()


@pytest.mark.parametrize("toxic", [toxics.reset_mid_stream(6), toxics.close_mid_stream(6), toxics.reset_mid_stream(0)])
async def test_an_upstream_that_breaks_off_is_passed_on_as_that(fake, tmp_path, toxic):
    """1006: no close frame makes a whole of it."""
    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        fake.script("sk-a", answers.ok() | toxic, path=FRAMES)
        async with open_socket(proxy.port) as client:
            await client.send(CREATE)
            assert await client.end() == 1006
        await proxy.until_idle()


@pytest.mark.parametrize("code", [1000, 1001, 3001])
async def test_the_clients_close_reaches_the_upstream(fake, tmp_path, code):
    async with through(fake, tmp_path, "sk-a") as proxy:
        async with open_socket(proxy.port) as client:
            await client.turn()
            assert await client.close(code) == code
            await fake.until(lambda: fake.log[0].close_code == code)
        await proxy.until_idle()
    assert not fake.log[0].aborted


@pytest.mark.parametrize("busy", [False, True])
async def test_a_client_that_leaves_takes_the_upstreams_socket_with_it(fake, tmp_path, busy):
    async with through(fake, tmp_path, "sk-a") as proxy:
        async with open_socket(proxy.port) as client:
            if busy:
                fake.script("sk-a", answers.ok(every=0.2, chunks=100), path=FRAMES)
                await client.send(CREATE)
                await client.receive()
            left = time.monotonic()
        await fake.until(lambda: fake.log[0].aborted)
        assert fake.log[0].aborted_at - left < 0.1
        await proxy.until_idle()


async def test_a_client_that_breaks_the_protocol_is_told_so(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a") as proxy:
        async with open_socket(proxy.port) as client:
            client.writer.write(b"\x81\x05hello")  # a client's frames are masked
            assert await client.end() == 1002
        await proxy.until_idle()


async def test_a_drain_lets_the_turn_finish_and_closes_with_1001(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a") as proxy:
        async with open_socket(proxy.port) as idle, open_socket(proxy.port) as busy:
            fake.script("sk-a", answers.ok(every=0.1), path=FRAMES)
            await busy.send(CREATE)
            await busy.receive()
            proxy.bridge.wind_down()
            assert await idle.end() == 1001
            turn = await busy.answer()
            assert turn[-1]["type"] == "response.completed"
            assert await busy.end() == 1001
        await proxy.until_idle()
    assert {seen.close_code for seen in fake.log if seen.method == "GET"} == {1000}


# --- what mitmproxy's users see ---


class Watcher:
    """An addon as people write them."""

    def __init__(self):
        self.seen: list[str] = []
        self.flow: Any = None

    def request(self, flow):
        self.seen.append("request")

    def response(self, flow):
        self.seen.append(f"response {flow.response.status_code} {flow.websocket is not None}")

    def websocket_start(self, flow):
        self.seen.append("websocket_start")
        self.flow = flow

    def websocket_message(self, flow):
        message = flow.websocket.messages[-1]
        if message.from_client and b"drop me" in message.content:
            message.drop()
        elif message.from_client:
            message.content = message.content.replace(b"changeme", b"changed")
        self.seen.append("to" if message.from_client else "from")

    def websocket_end(self, flow):
        self.seen.append(f"websocket_end {flow.websocket.close_code} {flow.websocket.closed_by_client}")


async def test_mitmproxys_hooks_see_and_may_change_every_message(fake, tmp_path):
    watcher = Watcher()
    async with (
        through(fake, tmp_path, "sk-a", addons=[watcher]) as proxy,
        open_socket(proxy.port, deflate=True) as client,
    ):
        await client.send({**CREATE, "input": "drop me"})
        turn = await client.turn(input="changeme")
        assert await client.close() == 1000
        await proxy.until_idle()
    assert watcher.seen[:3] == ["request", "response 101 True", "websocket_start"]
    assert watcher.seen[3:5] == ["to", "to"]
    assert watcher.seen.count("from") == len(turn)
    assert watcher.seen[-1] == "websocket_end 1000 True"
    assert [json.loads(seen.body)["input"] for seen in fake.log if seen.method == "WS"] == ["changed"]
    flow = watcher.flow
    shown = repr(flow.get_state())
    assert "sk-a" not in shown
    assert KEY not in shown
    assert flow.request.headers["authorization"] == "Bearer [codex-manager]"
    assert flow.comment.startswith("a · priority")


async def test_an_addon_that_fails_keeps_nobody_waiting(fake, tmp_path):
    class Broken:
        def websocket_message(self, flow):
            raise RuntimeError("an addon's own mistake")

    async with through(fake, tmp_path, "sk-a", addons=[Broken()]) as proxy, open_socket(proxy.port) as client:
        assert served_by(await client.turn(), fake, "sk-a")


# --- ephemeral secrets ---


@pytest.mark.parametrize("path", ["/v1/realtime/client_secrets", "/v1/realtime/sessions"])
async def test_an_ephemeral_secret_goes_to_the_account_that_issued_it(fake, tmp_path, path):
    """Also when another account would be chosen by now, by header and by subprotocol."""
    import aiohttp

    async with through(fake, tmp_path, "sk-a", "sk-b") as proxy:
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {KEY}"}
            url = f"{proxy.base_url}/{path.removeprefix('/v1/')}"
            async with session.post(url, json={"session": {"type": "realtime"}}, headers=headers) as answer:
                body = await answer.json()
        secret = body["value"] if "value" in body else body["client_secret"]["value"]
        fake.script("sk-a", answers.rate_limited(retry_after=30))
        async with open_socket(proxy.port) as client:
            assert client.headers["x-account-label"] == "b"
        async with open_socket(proxy.port, REALTIME, key=secret) as client:
            assert (await client.receive())["type"] == "session.created"
            assert client.headers["x-account-label"] == "a"
            assert served_by(await client.turn({"type": "response.create"}), fake, "sk-a")
        protocols = f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{secret}"
        async with open_socket(proxy.port, REALTIME, protocols, key=None) as client:
            assert client.headers["x-account-label"] == "a"
        with pytest.raises(RefusedError) as refused:
            async with open_socket(proxy.port, "/v1/responses", key=secret):
                pass
        assert refused.value.status == 401
    used = [seen for seen in fake.log if seen.path == "/v1/realtime"]
    assert [seen.header_values("authorization") for seen in used] == [[f"Bearer {secret}"]] * 2


async def test_an_unknown_ephemeral_secret_is_a_foreign_key(fake, tmp_path):
    async with through(fake, tmp_path, "sk-a") as proxy:
        with pytest.raises(RefusedError) as refused:
            async with open_socket(proxy.port, REALTIME, key="ek_0123456789abcdef"):
                pass
        assert refused.value.status == 401
    assert fake.log == []


async def test_an_expired_ephemeral_secret_counts_against_nobody(fake, tmp_path):
    import aiohttp

    async with through(fake, tmp_path, "sk-a") as proxy:
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {KEY}"}
            async with session.post(f"{proxy.base_url}/realtime/client_secrets", json={}, headers=headers) as answer:
                secret = (await answer.json())["value"]
        fake.script(None, answers.invalid_key(), path="/v1/realtime")
        with pytest.raises(RefusedError) as refused:
            async with open_socket(proxy.port, REALTIME, key=secret):
                pass
        assert refused.value.status == 401
        async with open_socket(proxy.port) as client:
            assert served_by(await client.turn(), fake, "sk-a")
