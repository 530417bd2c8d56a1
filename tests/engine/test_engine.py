"""The engine as a whole: what clients get when nobody can serve, waiting, recovery, reloads, and that nothing is left held."""

import asyncio
import itertools
import json

import pytest

from tests.engine.screenplay import chat, get, stage, take

from codex_manager.core.account import Account
from codex_manager.core.secret import Secret
from codex_manager.engine.aiohttp_transport import AiohttpTransport
from codex_manager.engine.engine import Engine
from codex_manager.engine.messages import Request
from codex_manager.engine.settings import EngineSettings
from codex_manager.testing import FakeClock
from codex_manager.testing import answers as a
from codex_manager.testing import toxics as t


# --- nobody can serve ---


async def test_limited_accounts_are_told_in_all_the_ways_clients_read():
    async with stage("ab") as there:
        there.fake.always("sk-a", a.rate_limited(retry_after=20))
        there.fake.always("sk-b", a.rate_limited(retry_after_ms=7250))
        got = await there.ask()
        assert (got.status, got.error["code"]) == (429, "rate_limit_exceeded")
        assert got.headers["retry-after"] == "8"
        assert 7000 < int(got.headers["retry-after-ms"]) <= 7250
        said = got.error["message"]
        assert f"Please try again in {float(said.split('again in ')[-1].split('s.')[0]):.3f}s." in said
        assert "a: rate limited, again in 20s; b: rate limited, again in 7." in said


async def test_without_credit_anywhere_clients_are_told_not_to_retry():
    async with stage("ab") as there:
        there.fake.always("sk-a", a.insufficient_quota())
        there.fake.always("sk-b", a.payment_required())
        await there.ask()
        got = await there.ask()
        assert (got.status, got.error["code"], got.headers["x-should-retry"]) == (429, "insufficient_quota", "false")
        assert "a: out of credit, again in 5m; b: out of credit, again in 5m." in got.error["message"]
        assert there.asked() == "a b"


async def test_with_refused_or_disabled_keys_only_the_accounts_are_named():
    async with stage("ab", accounts={"b": {"enabled": False}}) as there:
        there.fake.always("sk-a", a.invalid_key())
        got = await there.ask()
        assert (got.status, got.error["code"]) == (403, "no_usable_account")
        assert "a: its key was refused (invalid_api_key), again in 15m; b: disabled." in got.error["message"]


async def test_a_model_in_nobodys_scope_names_the_scopes():
    async with stage("ab", accounts={"a": {"models": ("o3*",)}, "b": {"models": ("!gpt*",)}}) as there:
        got = await there.ask()
        assert (got.status, got.error["code"], got.error["param"]) == (403, "model_not_allowed", "model")
        assert "'gpt-4o'. a: not for this model (o3*); b: not for this model (!gpt*)." in got.error["message"]
        assert (await there.ask(chat(model="o3"))).by == "a"


async def test_a_locked_vault_and_no_account_are_told_apart():
    async with stage("a") as there:
        there.engine.update(accounts=None)
        got = await there.ask()
        assert (got.status, got.error["code"]) == (503, "vault_locked")
        there.engine.update(accounts=[])
        got = await there.ask()
        assert (got.status, got.error["code"]) == (503, "no_available_accounts")
        assert "codex-manager add" in got.error["message"]
        assert there.fake.log == []


async def test_a_base_url_that_is_this_proxy_is_refused_in_a_sentence():
    async with stage(
        "a", accounts={"a": {"base_url": "http://localhost:8080"}}, own_addresses=frozenset({("127.0.0.1", 8080)})
    ) as there:
        got = await there.ask()
        assert (got.status, got.error["code"]) == (403, "no_usable_account")
        assert "a: its base URL http://localhost:8080 is this proxy itself." in got.error["message"]


async def test_an_answer_of_ours_to_head_has_no_body():
    async with stage("a", accounts={"a": {"enabled": False}}) as there:
        got = await there.ask(Request(method="HEAD", target="/v1/models", headers=()))
        assert (got.status, got.body) == (403, b"")
        assert int(got.headers["content-length"]) > 0


# --- waiting ---


async def test_a_request_waits_for_an_account_that_is_nearly_back():
    async with stage("a", max_inline_wait_s=3.0) as there:
        there.fake.script("sk-a", a.rate_limited(retry_after_ms=600))
        loop = asyncio.get_running_loop()
        began = loop.time()
        got = await there.ask()
        assert (got.status, got.answer.retries) == (200, 1)
        assert 0.6 <= loop.time() - began < 1.6


async def test_nobody_waits_longer_than_allowed():
    async with stage("a", max_inline_wait_s=0.3) as there:
        there.fake.always("sk-a", a.rate_limited(retry_after=2))
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await there.ask()).status == 429
        assert loop.time() - began < 0.3


async def test_the_waiting_room_has_a_size_and_cancelled_guests_leave_it():
    async with stage("a", max_inline_wait_s=3.0, max_waiting=4) as there:
        there.fake.script("sk-a", a.rate_limited(retry_after_ms=1500))
        first = asyncio.create_task(there.ask())
        await there.fake.until(lambda: len(there.engine.waiting) == 1)
        others = [asyncio.create_task(there.ask()) for _ in range(10)]
        await there.fake.until(lambda: sum(task.done() for task in others) == 7)
        assert len(there.engine.waiting) == 4
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert len(there.engine.waiting) == 1
        assert (await first).status == 200
        assert len(there.engine.waiting) == 0


async def test_whoever_waits_is_woken_when_an_account_is_edited():
    async with stage("ab", max_inline_wait_s=5.0, accounts={"b": {"enabled": False}}) as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=4))
        waiting = asyncio.create_task(there.ask())
        await there.fake.until(lambda: len(there.engine.waiting) == 1)
        there.engine.update(accounts=[account.replace(enabled=True) for account in there.accounts])
        async with asyncio.timeout(1):
            assert (await waiting).by == "b"


async def test_a_real_pace_delays_requests():
    async with stage("a", max_inline_wait_s=5.0, min_request_interval_s=0.1, pace=True) as there:
        await there.ask_many(5)
        at = [seen.at for seen in there.fake.log]
        assert at[-1] - at[0] >= 0.38  # four times 0.1 s, less what the loop was late for the first
        assert all(later - earlier >= 0.05 for earlier, later in itertools.pairwise(at))


# --- recovery ---


async def test_one_probe_goes_through_under_two_hundred_requests_and_the_rest_elsewhere():
    async with stage("ab") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after_ms=500), a.ok() | t.delay(0.3))
        await there.ask()
        await asyncio.sleep(0.51)
        got = await there.ask_many(200, parallel=200)
        assert {one.status for one in got} == {200}
        # One as the probe; the ramp opens only when it has succeeded, and by then the others were answered.
        assert there.fake.counts("sk-a") == 2


async def test_a_refused_probe_starts_the_next_rest_and_nobody_notices():
    async with stage("ab") as there:
        there.fake.always("sk-a", a.rate_limited(retry_after_ms=500))
        for _ in range(3):
            got = await there.ask_many(30, parallel=30)
            assert {one.status for one in got} == {200}
            await asyncio.sleep(0.52)
        # 30 at once meet the limit the first time; then one probe a window.
        assert there.fake.counts("sk-a") <= 30 + 2


async def test_an_account_serves_again_within_a_second_of_its_reset():
    async with stage("ab") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=1))
        await there.ask()
        answered = there.fake.log[0].answered_at
        assert answered is not None
        while there.fake.counts("sk-a") < 2:
            await there.ask()
            await asyncio.sleep(0.01)
        back = next(seen.at for seen in there.fake.log[1:] if seen.key == "sk-a")
        assert 0.99 <= back - answered < 2.0


async def test_a_window_of_waiting_requests_does_not_thunder():
    """At the reset one of the waiting goes, the others follow as the scope opens."""
    async with stage("a", max_inline_wait_s=5.0) as there:
        there.fake.script("sk-a", a.rate_limited(retry_after_ms=800), *[a.ok() | t.delay(0.1)] * 40)
        got = await there.ask_many(30, parallel=30)
        assert {one.status for one in got} == {200}
        again = [seen.at for seen in there.fake.log if seen.status == 200 and seen.at > there.fake.log[0].at + 0.7]
        assert sum(at < again[0] + 0.09 for at in again) == 1


async def test_a_breaker_opens_on_one_account_and_its_share_falls_under_a_tenth():
    """An account that fails half of the time: within twenty requests hardly any goes there."""
    async with stage("abcd", strategy="least_utilized") as there:
        there.fake.cycle("sk-a", a.server_error(), a.ok())
        await there.ask_many(20, parallel=1)
        asked = there.asked().split()
        assert asked.count("a") <= 2
        got = await there.ask_many(80, parallel=4)
        assert {one.status for one in got} == {200}
        assert there.asked().split().count("a") < 10


async def test_the_last_account_is_never_shut_out_for_5xx():
    async with stage("a") as there:
        there.fake.script("sk-a", *[a.server_error()] * 12)
        assert [(await there.ask()).status for _ in range(13)] == [500] * 12 + [200]


# --- keys ---


async def test_a_refused_key_is_asked_about_again_and_serves_when_it_works():
    clock = FakeClock()
    async with stage("a", clock=clock) as there:
        there.fake.always("sk-a", a.invalid_key())
        assert (await there.ask()).status == 403
        for number, waited in enumerate((900.0, 1800.0), 2):
            assert there.engine.usable_accounts() == []
            await clock.advance(waited)
            await there.fake.until(lambda: there.fake.counts("sk-a") == number)  # noqa: B023 - awaited within the turn
            await there.fake.until(lambda: clock.sleepers == 1)
        there.fake.clear("sk-a")
        await clock.advance(3600.0)
        await there.fake.until(there.engine.usable_accounts)
        assert [seen.path for seen in there.fake.log] == ["/v1/chat/completions"] + ["/v1/models"] * 3
        assert (await there.ask()).status == 200


@pytest.mark.parametrize("change", [{"api_key": Secret("sk-new")}, {"updated_at": "2026-11-21T00:00:00Z"}])
async def test_an_edited_account_starts_anew(change):
    async with stage("a") as there:
        there.fake.account("sk-new")
        there.fake.script("sk-a", a.invalid_key())
        assert (await there.ask()).status == 403
        there.engine.update(accounts=there.accounts)
        assert (await there.ask()).status == 403
        there.engine.update(accounts=[there.accounts[0].replace(**change)])
        assert (await there.ask()).status == 200


async def test_a_locked_vault_forgets_keys_but_not_limits():
    async with stage("ab") as there:
        there.fake.always("sk-a", a.rate_limited(retry_after=30))
        await there.ask()
        there.engine.update(accounts=None)
        assert there.engine.candidates == ()
        there.engine.update(accounts=there.accounts)
        await there.ask()
        assert there.asked() == "a b b"


# --- reloads and reports ---


async def test_a_request_on_its_way_survives_the_removal_of_its_account():
    async with stage("ab") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=3) | t.delay(0.2))
        asked = asyncio.create_task(there.ask())
        await there.fake.until(lambda: there.fake.log)
        there.engine.update(accounts=[there.accounts[1]])
        assert (await asked).by == "b"
        assert set(there.engine.state.accounts) == {"id-b"}


async def test_new_settings_are_in_force_at_once():
    async with stage("ab") as there:
        assert (await there.ask()).by == "a"
        there.engine.update(settings=EngineSettings(base_url=there.fake.base_url, pinned_account="id-b"))
        assert (await there.ask()).by == "b"


async def test_the_report_says_what_each_account_does():
    async with stage("abcdef", accounts={"e": {"enabled": False}, "f": {"base_url": "nonsense"}}) as there:
        there.fake.always("sk-a", a.rate_limited(retry_after=20))
        there.fake.always("sk-b", a.insufficient_quota())
        there.fake.always("sk-c", a.invalid_key())
        await there.ask()
        report = there.engine.report()
        assert [(account.label, account.state, account.available) for account in report.accounts] == [
            ("a", "limited", False),
            ("b", "billing", False),
            ("c", "auth_failed", False),
            ("d", "ready", True),
            ("e", "disabled", False),
            ("f", "unusable", False),
        ]
        assert (report.available, report.locked, report.waiting, report.in_flight) == (1, False, 0, 0)
        assert 19 < (report.accounts[0].retry_at or 0) - there.engine.clock.time() <= 20
        assert report.accounts[3].domain == "org-d/proj-d"
        assert [account.label for account in there.engine.usable_accounts()] == ["a", "d"]


async def test_calling_one_account_asks_it_and_no_other():
    async with stage("ab") as there:
        there.fake.script("sk-b", a.rate_limited(retry_after=20))
        got = await take(await there.engine.call_account("id-b", get()))
        assert (got.status, got.by) == (429, "b")
        got = await take(await there.engine.call_account("id-a", get()))
        assert (got.status, got.by, len(json.loads(got.body)["data"]) > 3) == (200, "a", True)
        assert (await take(await there.engine.call_account("gone", get()))).status == 503
        assert there.asked() == "b a"


async def test_calling_one_account_that_cannot_be_reached_is_an_answer():
    async with stage("a", base_url="http://127.0.0.1:9") as there:
        assert (await take(await there.engine.call_account("id-a", get()))).status == 502


# --- clients that leave ---


async def test_a_client_that_leaves_before_the_answer_takes_the_upstream_with_it():
    async with stage("a") as there:
        there.fake.always("sk-a", t.hang())
        tasks = [asyncio.create_task(there.ask()) for _ in range(50)]
        await there.fake.until(lambda: len(there.fake.log) == 50)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert there.idle()
        await there.fake.until(lambda: all(seen.aborted for seen in there.fake.log), timeout=1.0)


async def test_a_client_that_leaves_in_the_middle_is_nobodys_fault():
    async with stage("a") as there:
        there.fake.always("sk-a", t.hang_mid_stream(2))
        for _ in range(20):
            answer = await there.engine.handle(chat(stream=True))
            await anext(aiter(answer.body))
            await answer.aclose()
        assert there.idle()
        assert there.engine.state.accounts["id-a"].breaker.position == "closed"
        await there.fake.until(lambda: all(seen.aborted for seen in there.fake.log), timeout=1.0)


async def test_a_probe_whose_client_leaves_makes_room_for_the_next():
    async with stage("a") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after_ms=500), t.hang())
        await there.ask()
        await asyncio.sleep(0.51)
        probe = asyncio.create_task(there.ask())
        await there.fake.until(lambda: len(there.fake.log) == 2)
        assert (await there.ask()).status == 429
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)
        assert (await there.ask()).status == 200


async def test_a_storm_of_cancellations_leaves_every_counter_at_zero():
    async with stage("abc", max_inline_wait_s=1.0) as there:
        there.fake.cycle("sk-a", a.ok() | t.delay(0.02), a.rate_limited(retry_after_ms=500), t.hang(), a.server_error())
        there.fake.cycle("sk-b", a.overloaded(), a.ok() | t.delay(0.01), t.reset_before_headers())
        rng = there.engine.random
        tasks = []
        for number in range(300):
            tasks.append(asyncio.create_task(there.ask(chat(stream=number % 2 == 0))))
            asyncio.get_running_loop().call_later(rng.uniform(0.0, 0.3), tasks[-1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert there.idle()
        assert len(there.engine.waiting) == 0


async def test_a_stream_cut_by_the_upstream_is_a_visible_cut():
    async with stage("a") as there:
        there.fake.script("sk-a", t.reset_mid_stream(2))
        got = await there.ask(chat(stream=True))
        assert (got.status, got.cut) == (200, True)
        assert b"[DONE]" not in got.body
        assert got.body.count(b"data:") >= 1


async def test_silence_in_the_middle_is_a_cut_after_the_idle_timeout():
    async with stage("a", idle_timeout_s=0.2) as there:
        there.fake.script("sk-a", t.hang_mid_stream(1))
        got = await there.ask(chat(stream=True))
        assert got.cut


# --- whatever goes wrong ---


class Exploding:
    async def send(self, request, timeouts, *, fresh=False):
        raise RuntimeError(f"boom {request!r}")

    async def aclose(self):
        pass


async def test_a_bug_is_an_answer_and_no_header_is_in_the_log(caplog):
    engine = Engine(Exploding(), EngineSettings(), [Account(id="a", label="a", api_key=Secret("sk-very-secret-key"))])
    for answer in (await engine.handle(chat()), await engine.call_account("a", get())):
        got = await take(answer)
        assert (got.status, got.error["type"]) == (500, "server_error")
    assert engine.state.in_flight() == 0
    assert caplog.text.count("RuntimeError at test_engine.py:") == 2
    assert "boom" not in caplog.text  # a message may quote a header
    await engine.aclose()


@pytest.mark.parametrize(
    "request_",
    [
        Request(method="GET", target="/v1/models\r\nX: y", headers=()),
        Request(method="GET", target="/v1/models", headers=((b"X", b"a\nInjected: yes"),)),
        Request(method="GET", target="/v1/models", headers=((b"X", b"a\0b"),)),
        Request(method="GET", target="v1/models", headers=()),
        Request(method="G\xc9T", target="/v1/models", headers=()),
        Request(method="GET", target="/v1/a b", headers=()),
    ],
)
async def test_what_cannot_be_put_on_the_wire_is_a_400(request_):
    async with stage("ab") as there:
        got = await there.ask(request_)
        assert (got.status, got.answer.retries) == (400, 0)
        assert there.fake.log == []


async def test_closing_twice_and_unused_is_harmless():
    engine = Engine(AiohttpTransport(), EngineSettings(), None)
    await engine.aclose()
    await engine.aclose()
