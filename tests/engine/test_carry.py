"""Every row of the failure table, played over real sockets: who is asked, and what the client gets."""

import asyncio
import time

from typing import Any

import pytest

from tests.engine.screenplay import CHAT, chat, get, play, stage, upload

from codex_manager.engine.messages import Request
from codex_manager.testing import answers as a
from codex_manager.testing import toxics as t


BACKGROUND = chat(background=True)

ROWS = {
    "RATE goes to another domain at once": ([429, 200], "200 by b after a"),
    "RATE by slow_down": ([a.slow_down(), 200], "200 by b after a"),
    "RATE three times, the fourth answers": ([429, 429, 429, 200], "200 by d after a b c"),
    "RATE everywhere is our own answer": ([429, 429], "429 ours after a b"),
    "BILLING goes to another organization": ([a.insufficient_quota(), 200], "200 by b after a"),
    "BILLING by a spend limit": ([a.spend_limit(), 200], "200 by b after a"),
    "BILLING by 402": ([402, 200], "200 by b after a"),
    "BILLING everywhere is our own answer": ([a.insufficient_quota(), 402], "429 ours after a b"),
    "AUTH goes to another account": ([401, 200], "200 by b after a"),
    "AUTH of a deactivated account": ([a.deactivated(), 200], "200 by b after a"),
    "AUTH everywhere is our own answer": ([401, a.deactivated()], "403 ours after a b"),
    "MODEL_ACCESS goes to another account": ([404, 200], "200 by b after a"),
    "MODEL_ACCESS by permission": ([403, 200], "200 by b after a"),
    "MODEL_ACCESS everywhere is the first answer": ([404, 403], "404 by a after a b"),
    "MODEL_ACCESS here, RATE there: waiting helps": ([404, 429], "429 ours after a b"),
    "MODEL_ACCESS here, AUTH there": ([404, 401], "404 by a after a b"),
    "CALLER is handed on": ([400, 200], "400 by a"),
    "CALLER by context length": ([a.context_length(), 200], "400 by a"),
    "CALLER by 413": ([a.raw(413, {}, b"too large"), 200], "413 by a"),
    "an unknown 4xx is the caller's": ([a.raw(418, {}, b"teapot"), 200], "418 by a"),
    "OWNER_MISS is handed on": ([a.not_found(), 200], "404 by a"),
    "OVERLOAD once more on the same": ([[503, 200], 200], "200 by a after a"),
    "OVERLOAD then once on another": ([[503, 503], 200], "200 by b after a a"),
    "OVERLOAD on both is handed on": ([[503, 503], 503], "503 by b after a a"),
    "OVERLOAD on both, a third is not asked": ([[503, 503], [503, 503], 200], "503 by b after a a"),
    "TRANSIENT once on another": ([500, 200], "200 by b after a"),
    "TRANSIENT twice is handed on": ([500, a.server_error(502), 200], "502 by b after a"),
    "TRANSIENT of the edge": ([a.server_error(522), 200], "200 by b after a"),
    "an unknown 5xx is TRANSIENT": ([a.raw(599, {}, b"?"), 200], "200 by b after a"),
    "TRANSIENT with nobody else": ([500], "500 by a"),
    "TRANSIENT with the other limited": ([500, 429], "429 ours after a b"),
    "AMBIGUOUS by reset is not repeated": ([t.reset_before_headers(), 200], "504 ours after a"),
    "AMBIGUOUS by garbage is not repeated": ([a.garbage(), 200], "504 ours after a"),
    "EGRESS_LIMIT is handed on, no account can help": ([a.cloudflare_429(), 200], "429 by a"),
}


@pytest.mark.parametrize(("upstream", "expect"), ROWS.values(), ids=ROWS)
async def test_a_chat_request(upstream, expect):
    await play(upstream, expect=expect)


CREATING = {
    "RATE": ([429, 200], "200 by b after a"),
    "BILLING": ([a.insufficient_quota(), 200], "200 by b after a"),
    "AUTH": ([401, 200], "200 by b after a"),
    "MODEL_ACCESS": ([403, 200], "200 by b after a"),
    "OVERLOAD": ([503, 200], "503 by a"),
    "TRANSIENT": ([500, 200], "500 by a"),
    "AMBIGUOUS": ([t.reset_before_headers(), 200], "504 ours after a"),
}


@pytest.mark.parametrize(("upstream", "expect"), CREATING.values(), ids=CREATING)
@pytest.mark.parametrize("request_", [upload(), BACKGROUND], ids=["file", "background"])
async def test_a_call_that_creates_something_is_repeated_only_after_a_refusal(upstream, expect, request_):
    await play(upstream, expect=expect, request=request_)


async def test_ambiguous_replay_stateless_allows_one_for_what_is_stateless():
    settings: dict[str, Any] = {"ambiguous_replay": "stateless"}
    lost = t.reset_before_headers()
    await play([lost, 200], expect="200 by b after a", **settings)
    await play([lost, lost, 200], expect="504 ours after a b", **settings)
    await play([lost, 200], expect="504 ours after a", request=upload(), **settings)


async def test_no_answer_in_time_is_504_and_not_repeated():
    got = await play([t.hang(), 200], expect="504 ours after a", header_timeout_s=0.2)
    assert got.error["code"] == "upstream_unreachable"
    assert "It may have been processed, so it was not sent again." in got.error["message"]


async def test_a_stale_pooled_connection_costs_a_read_nothing():
    """The upstream closed it after a complete answer without a word; reads are sent again, once."""
    async with stage("a") as there:
        there.fake.script("sk-a", t.close_silently())
        assert (await there.ask(get())).status == 200
        await asyncio.sleep(0.02)
        assert (await there.ask(get())).status == 200
        assert (await there.ask()).status == 200


async def test_a_reset_as_soon_as_connected_gets_one_fresh_connection():
    async with stage("a") as there:
        there.fake.reset_connections(1)
        assert (await there.ask(get())).status == 200


async def test_refused_connections_go_to_an_account_that_lives_elsewhere():
    nowhere = {"a": {"base_url": "http://127.0.0.1:9"}}
    got = await play([[], 200], expect="200 by b", accounts=nowhere)
    assert got.answer.facts["tried"] == "a, a, b"


async def test_a_place_known_to_refuse_is_not_asked_again_while_another_is_at_hand():
    async with stage("ab", accounts={"a": {"base_url": "http://127.0.0.1:9"}}) as there:
        first, second = await there.ask(), await there.ask()
        assert (first.answer.retries, second.answer.retries) == (2, 0)


async def test_when_nobody_can_be_reached_the_way_is_named():
    async with stage("ab", base_url="http://127.0.0.1:9") as there:
        got = await there.ask()
        assert (got.status, got.error["code"]) == (502, "upstream_unreachable")
        assert got.error["message"].startswith("No connection to 127.0.0.1:9 (")


async def test_a_name_that_cannot_be_resolved_is_named():
    async with stage("a", base_url="http://nowhere.invalid") as there:
        got = await there.ask()
        assert "the name nowhere.invalid cannot be resolved" in got.error["message"].lower()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
async def test_encoded_errors_are_understood_and_handed_on_as_they_came(encoding):
    await play([a.insufficient_quota() | t.encoded(encoding), 200], expect="200 by b after a")
    got = await play([a.bad_request() | t.encoded(encoding)], expect="400 by a")
    assert got.headers["content-encoding"] == encoding
    assert len(got.body) == int(got.headers["content-length"])


async def test_overload_waits_as_told():
    began = time.monotonic()
    await play([[a.overloaded(retry_after=1), 200]], expect="200 by a after a")
    assert 1.0 <= time.monotonic() - began < 2.0


async def test_overload_with_a_long_wait_goes_elsewhere_at_once():
    began = time.monotonic()
    await play([a.overloaded(retry_after=60), 200], expect="200 by b after a")
    assert time.monotonic() - began < 0.5


async def test_attempts_are_bounded():
    got = await play([429] * 6, expect="429 ours after a b c d e")
    assert got.headers["retry-after-ms"] == "500"
    assert "others are left" in got.error["message"]
    await play([429, 429, 200], expect="429 ours after a b", max_attempts=2)


async def test_no_new_attempt_starts_when_the_time_is_over():
    await play([a.rate_limited(retry_after=9) | t.delay(0.3), 200], expect="429 ours after a", attempt_budget_s=0.2)


async def test_max_domains_bounds_moves_that_take_nothing_out_of_the_choice():
    await play([500, 200], expect="500 by a", max_domains=1)
    await play([429, 401, 200], expect="200 by c after a b", max_domains=1)


TOO_LARGE = a.refusal(
    429,
    "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 64217. The input or output tokens must "
    "be reduced in order to run successfully.",
    type="tokens",
    code="rate_limit_exceeded",
)


async def test_a_request_larger_than_the_limit_goes_elsewhere_and_cools_nothing():
    await play([TOO_LARGE, 200], expect="200 by b after a")
    await play([TOO_LARGE, TOO_LARGE], expect="429 by b after a")
    async with stage("a") as there:
        there.fake.script("sk-a", TOO_LARGE)
        assert [(await there.ask()).status for _ in range(2)] == [429, 200]


async def test_a_streamed_body_is_sent_once():
    async def body():
        yield CHAT

    request = Request(
        method="POST",
        target="/v1/chat/completions",
        headers=((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(CHAT))),
        body=body(),
        content_length=len(CHAT),
    )
    await play([429, 200], expect="429 by a", request=request)


async def test_a_streamed_body_that_was_not_begun_may_go_elsewhere():
    async def body():
        yield CHAT

    request = Request(method="POST", target="/v1/chat/completions", headers=(), body=body(), chunked=True)
    await play([[], 200], expect="200 by b", request=request, accounts={"a": {"base_url": "http://127.0.0.1:9"}})


async def test_a_body_that_breaks_off_is_nobodys_fault():
    async def body():
        yield b"{"
        raise ConnectionAbortedError("the client left")

    async def worse():
        yield b"{"
        raise RuntimeError("boom")

    for broken in (body(), worse()):
        request = Request(method="POST", target="/v1/chat/completions", headers=(), body=broken, chunked=True)
        async with stage("ab") as there:
            assert (await there.ask(request)).status in {400, 504, 502}
            assert there.engine.state.accounts["id-a"].breaker.position == "closed"


async def test_an_endless_error_is_handed_on_as_it_comes():
    """64 KiB are read to understand it; the rest follows."""
    page = b"x" * 300_000
    got = await play([a.raw(400, {"content-type": "text/plain"}, page)], expect="400 by a")
    assert got.body == page


async def test_a_cut_error_is_handed_on_as_a_cut():
    async with stage("a") as there:
        there.fake.script("sk-a", a.raw(400, {"content-type": "text/plain"}, b"x" * 5000) | t.close_in_body(1000))
        got = await there.ask()
        assert (got.status, got.cut) == (400, True)


async def test_answers_say_how_they_came_about():
    async with stage("abc") as there:
        there.fake.always("sk-a", a.rate_limited(retry_after=20))
        got = await there.ask()
        assert got.answer.facts == {
            "attempts": 2, "by": "priority", "tried": "a, b", "failed": "a 429", "out": "a rate", "model": "gpt-4o",
        }  # fmt: skip
        assert (got.answer.strategy, got.answer.retries) == ("priority", 1)
        there.engine.update(
            settings=there.engine.settings.__class__(base_url=there.fake.base_url, pinned_account="id-c")
        )
        assert (await there.ask()).answer.strategy == "switch"


async def test_switch_sends_everything_to_one_account_but_not_into_a_block():
    async with stage("ab", pinned_account="id-b") as there:
        assert [(await there.ask()).by for _ in range(3)] == ["b", "b", "b"]
        there.fake.script("sk-b", a.rate_limited(retry_after=20))
        assert [(await there.ask()).by for _ in range(2)] == ["a", "a"]
