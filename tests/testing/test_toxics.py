"""Faults on the way out do to the bytes what they say, no more and no less."""

import asyncio
import time

import pytest

from tests.testing.raw import CHAT, ask, listen, request, say

from codex_manager.testing.answers import ok, rate_limited
from codex_manager.testing.toxics import (
    close_announced,
    close_at,
    close_in_body,
    close_mid_stream,
    close_silently,
    delay,
    delay_body,
    early,
    hang,
    hang_in_body,
    hang_mid_stream,
    huge_headers,
    reset_at,
    reset_before_headers,
    reset_in_body,
    reset_mid_stream,
    slice_into,
)


STREAM = {**CHAT, "stream": True}


async def test_delay_holds_back_the_first_byte(fake):
    fake.script("sk-a", delay(0.1))
    begun = time.monotonic()
    heard = await ask(fake)
    assert heard.status == 200
    assert heard.times[0] - begun >= 0.1


async def test_delay_body_lets_the_head_go_first(fake):
    fake.script("sk-a", delay_body(0.1))
    heard = await ask(fake)
    assert heard.sizes[0] == heard.data.index(b"\r\n\r\n") + 4
    assert heard.times[1] - heard.times[0] >= 0.09
    assert heard.json["object"] == "chat.completion"


async def test_slices_arrive_one_by_one(fake):
    fake.script("sk-a", ok("x") | slice_into(100, 0.002))
    heard = await ask(fake)
    assert heard.json["choices"][0]["message"]["content"] == "x"
    assert max(heard.sizes) <= 200  # two may be read at once, hardly three
    assert len(heard.sizes) >= len(heard.data) // 200


async def test_one_byte_per_segment_changes_nothing(fake):
    fake.script("sk-a", ok("same"), ok("same") | slice_into(1))
    whole, sliced = await ask(fake, body=STREAM), await ask(fake, body=STREAM)
    assert sliced.body == whole.body


@pytest.mark.parametrize("offset", [0, 1, 9, 17, 100, 400, 700, 1000])
@pytest.mark.parametrize(("cut", "end"), [(reset_at, "reset"), (close_at, "eof")])
async def test_a_cut_lets_exactly_the_bytes_before_it_through(fake, cut, end, offset):
    fake.script("sk-a", cut(offset))
    heard = await say(fake, request(), whole=False)
    assert (len(heard.data), heard.end) == (offset, end)
    seen = fake.log[0]
    assert (seen.sent_bytes, seen.cut, seen.processed, seen.finished_at) == (offset, True, True, None)


async def test_an_answer_shorter_than_the_offset_is_whole(fake):
    fake.script("sk-a", reset_at(100_000))
    heard = await ask(fake)
    assert heard.end == "complete"
    assert not fake.log[0].cut


@pytest.mark.parametrize(("cut", "end"), [(reset_in_body, "reset"), (close_in_body, "eof"), (hang_in_body, "silent")])
async def test_a_cut_in_the_body_counts_from_the_end_of_the_head(fake, cut, end):
    fake.script("sk-a", cut(10))
    heard = await say(fake, request(), whole=False)
    assert (len(heard.body), heard.end) == (10, end)


@pytest.mark.parametrize(
    ("cut", "end"), [(reset_mid_stream, "reset"), (close_mid_stream, "eof"), (hang_mid_stream, "silent")]
)
async def test_a_cut_stream_has_its_first_pieces_and_no_end(fake, cut, end):
    fake.script("sk-a", ok(chunks=10) | cut(3))
    heard = await say(fake, request(body=STREAM), whole=False)
    assert heard.end == end
    assert heard.body.count(b"data: ") == 3
    assert b"[DONE]" not in heard.body


async def test_reset_before_headers_says_nothing_but_was_processed(fake):
    """After it nobody but the upstream knows whether the work was done: to repeat it would be a duplicate."""
    fake.script("sk-a", reset_before_headers())
    heard = await say(fake, request())
    assert (heard.data, heard.end) == (b"", "reset")
    assert fake.log[0].processed


async def test_hang_answers_nothing_until_the_client_leaves(fake):
    fake.script("sk-a", hang())
    heard = await say(fake, request(), silence=0.1)
    assert (heard.data, heard.end) == (b"", "silent")
    await fake.until(lambda: fake.log[0].aborted)


async def test_a_refusal_can_be_cut_too_and_is_not_processed(fake):
    fake.script("sk-a", rate_limited() | reset_in_body(5))
    heard = await say(fake, request())
    assert heard.end == "reset"
    assert (fake.log[0].status, fake.log[0].processed) == (429, False)


async def test_early_answers_while_the_body_is_still_coming(fake):
    fake.script("sk-a", rate_limited() | early())
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    head = request(body=b"x" * 1000).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    writer.write(head)
    heard = await listen(reader, silence=1)
    assert (heard.status, heard.headers["connection"]) == (429, "close")
    writer.write(b"x" * 1000)
    assert (await listen(reader, silence=2)).end == "eof"
    writer.close()
    assert fake.log[0].body_size == 0


async def test_early_asks_for_no_body_on_100_continue(fake):
    fake.script("sk-a", rate_limited() | early())
    reader, writer = await asyncio.open_connection(fake.host, fake.port)
    writer.write(request(headers=[("Expect", "100-continue")]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    heard = await listen(reader, silence=1)
    writer.close()
    assert heard.data.startswith(b"HTTP/1.1 429")


async def test_close_announced_says_so(fake):
    fake.script("sk-a", close_announced())
    heard = await say(fake, request(), whole=False)
    assert (heard.headers["connection"], heard.end, heard.status) == ("close", "eof", 200)


async def test_close_silently_does_not(fake):
    fake.script("sk-a", close_silently())
    heard = await say(fake, request(), whole=False)
    assert "connection" not in heard.headers
    assert (heard.end, heard.status) == ("eof", 200)


async def test_huge_headers_are_as_large_as_asked(fake):
    fake.script("sk-a", huge_headers(50_000))
    heard = await ask(fake)
    filler = [value for name, value in heard.headers.items() if name.startswith("x-filler-")]
    assert sum(map(len, filler)) == 50_000


async def test_toxics_compose_and_the_later_one_wins(fake):
    step = ok() | delay(1) | (delay(0.05) | slice_into(7)) | reset_in_body(3)
    assert step.name == "ok | delay(1) | delay(0.05) | slice_into(7) | reset_in_body(3)"
    assert (step.travel.delay_s, step.travel.slice_bytes) == (0.05, 7)
    fake.script("sk-a", step)
    heard = await say(fake, request(), whole=False)
    assert (len(heard.body), heard.end) == (3, "reset")
