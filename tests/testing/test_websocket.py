"""The fake's WebSockets: what OpenAI says on them, scripted frame by frame, and everything on record."""

import asyncio
import json

import openai
import pytest

from tests.proxy.websocket_rig import CREATE, RefusedError, open_socket

from codex_manager.testing import answers, toxics


REALTIME = "/v1/realtime?model=gpt-realtime"


@pytest.mark.parametrize("deflate", [False, True])
async def test_responses_are_told_event_by_event_and_continued(fake, deflate):
    async with open_socket(fake.port, key="sk-a", deflate=deflate) as client:
        first = await client.turn()
        assert [event["type"] for event in first][::11] == ["response.created", "response.completed"]
        name = first[-1]["response"]["id"]
        assert (await client.turn(previous_response_id=name))[-1]["response"]["previous_response_id"] == name
        assert await client.close() == 1000
    async with open_socket(fake.port, key="sk-a") as client:
        (error,) = await client.turn(previous_response_id=name)  # not stored: gone with its socket
        assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")
    assert fake.log[0].close_code == 1000


async def test_a_warm_up_has_no_output(fake):
    async with open_socket(fake.port, key="sk-a") as client:
        warm = await client.turn(generate=False)
        assert [event["type"] for event in warm] == ["response.created", "response.completed"]
        assert warm[-1]["response"]["output"] == []


async def test_frames_take_the_steps_of_a_script_and_are_on_record(fake):
    fake.script("sk-a", answers.rate_limited(retry_after=3), answers.ok("Hi."), path="*#create")
    async with open_socket(fake.port, key="sk-a") as client:
        (error,) = await client.turn()
        assert (error["type"], error["status"], error["headers"]) == ("error", 429, {"retry-after": "3"})
        assert (await client.turn())[-1]["response"]["output"][0]["content"][0]["text"] == "Hi."
    frames = [seen for seen in fake.log if seen.method == "WS"]
    assert [(seen.key, seen.path, seen.status, seen.processed) for seen in frames] == [
        ("sk-a", "/v1/responses#create", 429, False),
        ("sk-a", "/v1/responses#create", 200, True),
    ]
    assert json.loads(frames[0].body) == CREATE
    assert [json.loads(message) for message in fake.log[0].messages] == [CREATE, CREATE]


async def test_limits_count_frames_like_requests(fake):
    fake.limit("sk-a", requests_per_minute=60, burst_requests=1)
    async with open_socket(fake.port, key="sk-a") as client:
        assert (await client.turn())[-1]["type"] == "response.completed"
        (error,) = await client.turn()
        assert (error["status"], error["error"]["code"]) == (429, "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (answers.close_frame(1011, "oops"), 1011),
        (answers.ok() | toxics.reset_mid_stream(2), 1006),
        (answers.ok() | toxics.close_mid_stream(2), 1006),
    ],
    ids=str,
)
async def test_a_socket_ends_as_scripted(fake, step, code):
    fake.script("sk-a", step, path="*#create")
    async with open_socket(fake.port, key="sk-a") as client:
        await client.send(CREATE)
        assert await client.end() == code


@pytest.mark.parametrize("step", [answers.invalid_key(), answers.rate_limited(), answers.server_error(503)], ids=str)
async def test_a_handshake_can_be_refused(fake, step):
    fake.script("sk-a", step)
    with pytest.raises(RefusedError) as refused:
        async with open_socket(fake.port, key="sk-a"):
            pass
    assert refused.value.status == fake.log[0].status
    assert refused.value.error["message"]


async def test_an_unknown_model_and_an_unknown_event_are_errors(fake):
    async with open_socket(fake.port, key="sk-a") as client:
        (error,) = await client.turn(model="no-such-model")
        assert error["error"]["code"] == "model_not_found"
        await client.send({"type": "nonsense"})
        assert (await client.receive())["error"]["code"] == "unknown_event"


async def test_realtime_holds_a_session(fake):
    async with open_socket(fake.port, REALTIME, key="sk-a") as client:
        assert (await client.receive())["session"]["model"] == "gpt-realtime"
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
        await client.send({"type": "conversation.item.create", "item": item})
        assert (await client.receive())["type"] == "conversation.item.added"
        done = (await client.turn({"type": "response.create"}))[-1]["response"]
        assert done["status"] == "completed"
        assert done["output"][0]["content"][0]["text"].startswith("1 items heard")


async def test_the_opening_of_a_session_can_be_scripted(fake):
    fake.script("sk-a", answers.insufficient_quota(), path="/v1/realtime#open")
    async with open_socket(fake.port, REALTIME, key="sk-a") as client:
        assert (await client.receive())["error"]["code"] == "insufficient_quota"


async def test_an_ephemeral_secret_is_good_for_its_own_account(fake):
    def issue():
        with openai.OpenAI(api_key="sk-a", base_url=fake.api_url, max_retries=0) as client:
            return client.realtime.client_secrets.create(session={"type": "realtime"}).value

    secret = await asyncio.to_thread(issue)
    protocols = f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{secret}"
    for options in ({"key": secret}, {"key": None}):
        lines = () if options["key"] else (protocols,)
        async with open_socket(fake.port, REALTIME, *lines, **options) as client:
            assert client.headers["openai-organization"] == "org-a"
            assert (await client.receive())["type"] == "session.created"


async def test_a_client_that_hangs_up_is_on_record(fake):
    async with open_socket(fake.port, key="sk-a") as client:
        await client.turn()
    await fake.until(lambda: fake.log[0].aborted)
    assert fake.log[0].close_code is None
