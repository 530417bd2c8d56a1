"""What OpenAI tells about an account's spending is read to the cent, and what it does not tell is a sentence."""

import json
import time

from decimal import Decimal

import pytest

from codex_manager.core.secret import Secret
from codex_manager.core.snapshot import utc_windows
from codex_manager.provider.line import Way
from codex_manager.provider.poll import NOTHING_OFFERED, Refusals, poll
from codex_manager.testing import answers, blackhole, in_thread, refused_port
from codex_manager.testing.toxics import close_silently, hang, reset_in_body, slice_into
from codex_manager.vault.store import new_account


KEY, ADMIN = "sk-api-0123456789abcdef", "sk-admin-0123456789abcdef"
NOW = 1_795_000_000.0  # 2026-11-18, in the middle of a month and a day
DAY, MONTH = utc_windows(NOW)


@pytest.fixture(scope="module")
def server():
    with in_thread() as fake:
        yield fake


@pytest.fixture
def openai(server):
    """The fake with clean books."""
    server.clear()
    server._api.books.__init__()
    server.account(KEY, "org-a", "proj-a")
    server.admin(ADMIN, "org-a")
    server.log.clear()
    return server


def account(**fields):
    return new_account("Work", Secret(KEY), **{"admin_key": Secret(ADMIN), **fields})


def look(openai, of=None, **more):
    return poll(of or account(), Way(openai.base_url), now=NOW, **more)


def test_today_and_the_month_are_added_up_exactly(openai):
    for at, usd in ((DAY, "0.1"), (DAY + 86_399, "0.2"), (DAY - 1, "4"), (MONTH, "1"), (MONTH - 1, "1000")):
        openai.spent("org-a", usd, at=at)
    said = look(openai)
    assert (said.today, said.month) == (Decimal("0.3"), Decimal("5.3"))
    assert (said.source, said.organization_wide, said.error, said.ok) == ("costs", True, "", True)
    assert (said.account, said.taken_at, said.day_start, said.month_start) == ("Work", NOW, DAY, MONTH)


@pytest.mark.parametrize("way", ["settings", "learned"])
def test_a_known_project_has_its_own_figures(way, openai):
    openai.spent("org-a", 1, project="proj-a", at=DAY)
    openai.spent("org-a", 8, project="proj-b", at=DAY)
    said = look(openai, account(project="proj-a")) if way == "settings" else look(openai, project="proj-a")
    assert (said.today, said.organization_wide) == (Decimal(1), False)


def test_requests_and_tokens_of_all_kinds_of_models(openai):
    openai.used("org-a", "completions", at=DAY, input_tokens=1000, output_tokens=50, num_model_requests=3)
    openai.used("org-a", "embeddings", at=MONTH, input_tokens=7, num_model_requests=1)
    openai.used("org-a", "images", at=DAY, images=2, num_model_requests=2)
    said = look(openai)
    assert (said.requests_today, said.requests_month) == (5, 6)
    assert (said.input_today, said.input_month, said.output_today, said.output_month) == (1000, 1007, 50, 50)


def test_the_month_is_asked_for_in_days_and_the_admin_key_goes_nowhere_else(openai):
    look(openai)
    admin = [seen for seen in openai.log if seen.key == ADMIN]
    assert all(seen.path.startswith("/v1/organization/") for seen in admin)
    assert all(f"start_time={MONTH}&bucket_width=1d&limit=31" in seen.query for seen in admin)
    assert {seen.path for seen in openai.log if seen.key == KEY} == {"/v1/dashboard/billing/subscription"}
    assert len({seen.connection for seen in openai.log}) == 1  # one connection for all questions


def test_every_page_is_read(openai):
    for day in range(3):
        openai.spent("org-a", 1, at=MONTH + day * 86_400)

    def in_small_pages(facts):
        data = [
            {
                "object": "bucket",
                "start_time": MONTH + n * 86_400,
                "end_time": 0,
                "results": [{"amount": {"value": 1, "currency": "usd"}}],
            }
            for n in range(3)
        ]
        at = int(facts.query.split("page=")[1]) if "page=" in facts.query else 0
        return answers.raw(
            200, body={"object": "page", "data": data[at : at + 1], "has_more": at < 2, "next_page": str(at + 1)}
        )

    openai.always(ADMIN, in_small_pages, path="/v1/organization/costs")
    assert look(openai).month == Decimal(3)


def test_without_an_admin_key_the_older_dashboard_is_asked(openai):
    openai.billing(KEY, hard_limit="120.50", spent="1.25", at=DAY + 1)
    openai.billing(KEY, spent="0.33", at=DAY - 1)
    said = look(openai, account(admin_key=None))
    assert (said.today, said.month, said.hard_limit) == (Decimal("1.25"), Decimal("1.58"), Decimal("120.5"))
    assert (said.source, said.error, said.organization_wide) == ("billing", "", False)
    assert ADMIN not in {seen.key for seen in openai.log}


def test_an_admin_key_and_a_dashboards_limit_complete_each_other(openai):
    openai.spent("org-a", 3, at=DAY)
    openai.billing(KEY, hard_limit=50, spent=1)
    said = look(openai)
    assert (said.today, said.hard_limit, said.source) == (Decimal(3), Decimal(50), "costs")


@pytest.mark.parametrize("limit", [0, 100_000_000, -1])
def test_a_limit_that_is_none_limits_nothing(limit, openai):
    openai.billing(KEY, hard_limit=limit, spent=1)
    assert look(openai, account(admin_key=None)).hard_limit is None


def test_what_is_not_offered_is_not_asked_again_for_a_day_or_until_the_key_changes(openai):
    refusals, plain = Refusals(), account(admin_key=None)
    first = look(openai, plain, refusals=refusals)
    assert (first.ok, first.offered, first.error) == (False, False, NOTHING_OFFERED)
    asked = len(openai.log)
    assert asked == 2
    assert not look(openai, plain, refusals=refusals).offered
    assert len(openai.log) == asked
    later = poll(plain, Way(openai.base_url), now=NOW + 86_401, refusals=refusals)
    assert (later.offered, len(openai.log)) == (False, asked + 2)
    other = "sk-other-0123456789abcdef"
    openai.account(other, "org-a", "proj-a")
    poll(plain.replace(api_key=Secret(other)), Way(openai.base_url), now=NOW + 86_402, refusals=refusals)
    assert len(openai.log) == asked + 4


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (answers.invalid_key(), "OpenAI refuses the admin key (invalid_api_key)"),
        (answers.forbidden(), "the admin key may not read usage; it needs the scope api.usage.read"),
        (answers.rate_limited(retry_after=1), "OpenAI answers the admin key with status 429, rate_limit_exceeded"),
        (answers.server_error(500), "OpenAI answers the admin key with status 500"),
        (answers.raw(302, [("location", "https://example.org")]), "OpenAI answers the admin key with status 302"),
        (answers.raw(200, body=b"<html>"), "the answer about costs was not understood"),
    ],
)
def test_a_refusal_is_a_sentence_and_the_other_pages_are_read(step, sentence, openai):
    openai.billing(KEY, spent=2, at=DAY)
    openai.always(ADMIN, step, path="/v1/organization/costs")
    said = look(openai)
    assert said.error == sentence
    assert (said.today, said.source, said.offered) == (Decimal(2), "billing", True)
    assert KEY not in said.error
    assert ADMIN not in said.error


def bucket(*amounts, start=DAY):
    return {"start_time": start, "results": [{"amount": amount} for amount in amounts]}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b'{"data": 3, "has_more": false}', b'{"data": [3]}', b"[" * 100_000, b'{"data": [{"start_time": 1e999}], "x": NaN}',
        json.dumps({"data": [bucket({"value": 1, "currency": "eur"})]}).encode(),
        json.dumps({"data": [bucket({"value": "abc", "currency": "usd"})]}).encode(),
        json.dumps({"data": [bucket({"value": None})]}).encode(),
        json.dumps({"data": [bucket("1")]}).encode(),
        json.dumps({"data": [bucket({"value": "1e9999999"})]}).encode(),
        json.dumps({"data": [bucket({"value": "NaN"})]}).encode(),
        json.dumps({"data": [], "has_more": True, "next_page": "again"}).encode(),
        json.dumps({"data": [], "has_more": True, "next_page": {}}).encode(),
    ],
    ids=range(15),
)  # fmt: skip
def test_nonsense_is_not_understood_and_never_an_amount(body, openai):
    openai.always(ADMIN, answers.raw(200, {"content-type": "application/json"}, body), path="/v1/organization/costs")
    said = look(openai)
    assert (said.today, said.month) == (None, None)
    assert said.error == "the answer about costs was not understood"


def test_amounts_may_be_text_and_refunds_do_not_make_a_day_negative(openai):
    body = {
        "data": [
            bucket({"value": "0.0600000000000000001", "currency": "usd"}),
            bucket({"value": -3, "currency": "usd"}, start=MONTH),
        ]
    }
    openai.always(ADMIN, answers.raw(200, body=body), path="/v1/organization/costs")
    said = look(openai)
    assert (said.today, said.month) == (Decimal("0.06"), Decimal(0))


@pytest.mark.parametrize("toxic", [reset_in_body(5), hang()], ids=str)
def test_a_connection_that_fails_ends_the_look_with_its_reason(toxic, openai):
    openai.always(ADMIN, toxic)
    before = time.monotonic()
    said = look(openai, look_s=0.5)
    assert time.monotonic() - before < 5
    assert said.error
    assert not said.ok
    assert said.offered


def test_a_server_that_trickles_is_not_waited_for(openai):
    openai.always(ADMIN, answers.ok() | slice_into(1, 0.2))
    before = time.monotonic()
    assert look(openai, look_s=0.5).error.startswith("no answer")
    assert time.monotonic() - before < 5


def test_a_connection_closed_between_two_questions_is_made_anew(openai):
    openai.spent("org-a", 3, at=DAY)
    openai.always(ADMIN, close_silently())
    said = look(openai)
    assert (said.today, said.error) == (Decimal(3), "")


def test_nobody_there_is_a_sentence():
    with refused_port() as port:
        assert poll(account(), Way(f"http://127.0.0.1:{port}"), now=NOW).error == "connection refused"
    with blackhole() as port:
        assert poll(account(), Way(f"http://127.0.0.1:{port}"), now=NOW, look_s=0.3).error.startswith("no answer")


def test_a_key_that_is_no_header_stays_out_of_the_sentence(openai):
    said = look(openai, account(admin_key=Secret("sk-admin\r\nX: 1")))
    assert "sk-admin" not in said.error
    assert said.error
