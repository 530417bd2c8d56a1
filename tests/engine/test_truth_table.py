"""The failure table of the product, row by row and phase by phase, over real sockets; judged by hand from its rules, not from the code.

How to read `TABLE`. Three accounts a, b, c of three organizations are tried in this order; the first does what the row says, the
others are well. `a b: 200 b` means: a was asked, then b, nobody else, and the client got b's good answer. `a: 429 a` is a's own
answer, byte for byte; `429 rate_limit_exceeded` one of ours, whose headers `OURS` says; `cut a` a's answer with its cut. The three
columns are a call that is stateless, one that creates something, and one that reads. `everybody` is the stateless call when all
three do the same. `marks` is everything that is remembered after the first column's request, and nothing else is.

The phases: P0 not connected; P1 connected, not all sent; P2 sent, no answer; P3 headers have come, nothing that matters has gone to
the client; P4 output has reached the client. Times are exact, because the clock stands still.
"""

import asyncio
import json
import math

from dataclasses import dataclass

import pytest

from tests.engine.screenplay import Got, Stage, chat, get, post, stage, upload
from tests.engine.test_affinity import Leaping
from tests.engine.till import FlatPricing

from codex_manager.engine.messages import Request
from codex_manager.testing import answers as a
from codex_manager.testing import toxics as t
from codex_manager.testing.step import Step, Toxic


TABLE = """
class         phase  what a does        | stateless       | creates         | reads           | everybody                         | marks
--- the upstream refuses
RATE          P3     429                | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 429 rate_limit_exceeded    | a scope 20
RATE          P3     slow down          | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 429 rate_limit_exceeded    | a scope about 1
RATE          P3     429 per day        | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 429 rate_limit_exceeded    | a scope 36000
RATE          P3     429 too large      | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 429 c                      | -
RATE          P3     in the stream      | a b: 200 b      | a b: 200 b      | ·               | a b c: 429 rate_limit_exceeded    | a scope 1.898
RATE          P4     in the stream      | a: 200 a        | a: 200 a        | ·               | a: 200 a                          | a scope 1.898
BILLING       P3     no quota           | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 429 insufficient_quota     | a organization 300
BILLING       P3     402                | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 429 insufficient_quota     | a organization 300
BILLING       P3     project's limit    | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 429 insufficient_quota     | a project 300
BILLING       P4     in the stream      | a: 200 a        | a: 200 a        | ·               | a: 200 a                          | a organization 300
BILLING       P3     in the stream      | a b: 200 b      | a b: 200 b      | ·               | a b c: 429 insufficient_quota     | a organization 300
AUTH          P3     401                | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 403 no_usable_account      | a key 900
AUTH          P3     deactivated        | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 403 no_usable_account      | a key 900
MODEL_ACCESS  P3     403                | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 403 a                      | a model 3600
MODEL_ACCESS  P3     no such model      | a b: 200 b      | a b: 200 b      | a b: 200 b      | a b c: 404 a                      | a model 3600
MODEL_ACCESS  P3     in the stream      | a b: 200 b      | a b: 200 b      | ·               | a b c: 200 a                      | a model 3600
--- the caller is wrong
CALLER        P3     400                | a: 400 a        | a: 400 a        | a: 400 a        | a: 400 a                          | -
CALLER        P3     405                | a: 405 a        | a: 405 a        | a: 405 a        | a: 405 a                          | -
CALLER        P3     409                | a: 409 a        | a: 409 a        | a: 409 a        | a: 409 a                          | -
CALLER        P3     413                | a: 413 a        | a: 413 a        | a: 413 a        | a: 413 a                          | -
CALLER        P3     415                | a: 415 a        | a: 415 a        | a: 415 a        | a: 415 a                          | -
CALLER        P3     422                | a: 422 a        | a: 422 a        | a: 422 a        | a: 422 a                          | -
CALLER        P3     unknown 4xx        | a: 418 a        | a: 418 a        | a: 418 a        | a: 418 a                          | -
CALLER        P3     too long           | a: 400 a        | a: 400 a        | a: 400 a        | a: 400 a                          | -
CALLER        P3     policy             | a: 400 a        | a: 400 a        | a: 400 a        | a: 400 a                          | -
CALLER        P3     in the stream      | a: 200 a        | a: 200 a        | ·               | a: 200 a                          | -
OWNER_MISS    P3     404, none named    | a: 404 a        | a: 404 a        | a: 404 a        | a: 404 a                          | -
ORIGIN_MISS   P3     not its reasoning  | a: 400 a        | a: 400 a        | a: 400 a        | a: 400 a                          | -
--- the upstream is not well
OVERLOAD      P3     503                | a a b: 200 b    | a: 503 a        | a a b: 200 b    | a a b: 503 b                      | a weather
OVERLOAD      P3     503, in 60 s       | a b: 200 b      | a: 503 a        | a b: 200 b      | a b: 503 b                        | a weather
OVERLOAD      P3     in the stream      | a a b: 200 b    | a: 200 a        | ·               | a a b: 200 b                      | a weather
TRANSIENT     P3     500                | a b: 200 b      | a: 500 a        | a b: 200 b      | a b: 500 b                        | a breaker 1
TRANSIENT     P3     502                | a b: 200 b      | a: 502 a        | a b: 200 b      | a b: 502 b                        | a breaker 1
TRANSIENT     P3     504                | a b: 200 b      | a: 504 a        | a b: 200 b      | a b: 504 b                        | a breaker 1
TRANSIENT     P3     520 of the edge    | a b: 200 b      | a: 520 a        | a b: 200 b      | a b: 520 b                        | a breaker 1
TRANSIENT     P3     unknown 5xx        | a b: 200 b      | a: 599 a        | a b: 200 b      | a b: 599 b                        | a breaker 1
TRANSIENT     P3     in the stream      | a b: 200 b      | a: 200 a        | ·               | a b: 200 b                        | a breaker 1
TRANSIENT     P3     stream cut         | a b: 200 b      | a: cut a        | ·               | a b: cut b                        | a breaker 1
EGRESS_LIMIT  P3     429 of the edge    | a: 429 a        | a: 429 a        | a: 429 a        | a: 429 a                          | egress 5
--- the way there
PRE_DISPATCH  P0     refused            | a a b: 200 b    | a a b: 200 b    | a a b: 200 b    | a a: 502 upstream_unreachable     | way
PRE_DISPATCH  P0     no TLS             | a a b: 200 b    | a a b: 200 b    | a a b: 200 b    | a a: 502 upstream_unreachable     | way
PRE_DISPATCH  P1     reset              | a a: 200 a      | a a: 200 a      | ·               | a a: 502 upstream_unreachable     | way
AMBIGUOUS     P2     reset              | a: 504 upstream_unreachable | a: 504 upstream_unreachable | a a: 200 a | a: 504 upstream_unreachable | a breaker 1
AMBIGUOUS     P2     silence            | a: 504 upstream_unreachable | a: 504 upstream_unreachable | a: 504 upstream_unreachable | a: 504 upstream_unreachable | a breaker 1
AMBIGUOUS     P2     no HTTP            | a: 504 upstream_unreachable | a: 504 upstream_unreachable | a: 504 upstream_unreachable | a: 504 upstream_unreachable | a breaker 1
OVERLOAD      P4     in the stream      | a: 200 a        | a: 200 a        | ·               | a: 200 a                          | a weather
TRANSIENT     P4     in the stream      | a: 200 a        | a: 200 a        | ·               | a: 200 a                          | a breaker 0.5
CALLER        P4     in the stream      | a: 200 a        | a: 200 a        | ·               | a: 200 a                          | -
MID_STREAM    P4     reset              | a: cut a        | a: cut a        | a: cut a        | a: cut a                          | a breaker 0.5
MID_STREAM    P4     closed             | a: cut a        | a: cut a        | a: cut a        | a: cut a                          | a breaker 0.5
MID_STREAM    P4     silence            | a: cut a        | a: cut a        | a: cut a        | a: cut a                          | a breaker 0.5
"""
# Where the rules leave something open, what stands here is what docs/deciding.md says: which answer stands when OVERLOAD and TRANSIENT
# meet everybody (the last), the fresh connection for a read (RFC 9112 §9.3.1), and what becomes of P0 after its fresh connection.

OURS = {
    "rate_limit_exceeded": {"retry-after", "retry-after-ms", "x-should-retry: true"},
    "insufficient_quota": {"x-should-retry: false"},
    "no_usable_account": {"x-should-retry: false"},
    "upstream_unreachable": set(),
}
"""What our own answers say about coming back."""

PER_DAY = a.rate_limited(message="Rate limit reached on requests per day (RPD): Limit 10. Please try again in 10h.")
TOO_LARGE = a.rate_limited(
    message="Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 64217.", kind="tokens"
)
PAGE = {"content-type": "text/plain"}
FIELD = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
LARGE = (
    FIELD % (b"model", b"whisper-1")
    + FIELD % (b"purpose", b"batch")
    + FIELD % (b'file"; filename="f.wav', b"y" * (8 << 20))
    + b"--x--\r\n"
)
STEPS: dict[tuple[str, str], Step | Toxic] = {
    ("RATE", "429"): a.rate_limited(retry_after=20),
    ("RATE", "slow down"): a.slow_down(),
    ("RATE", "429 per day"): PER_DAY,
    ("RATE", "429 too large"): TOO_LARGE,
    ("BILLING", "no quota"): a.insufficient_quota(),
    ("BILLING", "402"): a.payment_required(),
    ("BILLING", "project's limit"): a.spend_limit("project"),
    ("AUTH", "401"): a.invalid_key(),
    ("AUTH", "deactivated"): a.deactivated(),
    ("MODEL_ACCESS", "403"): a.forbidden(),
    ("MODEL_ACCESS", "no such model"): a.model_not_found(),
    ("CALLER", "400"): a.bad_request(),
    ("CALLER", "409"): a.refusal(409, "Conflict."),
    ("CALLER", "422"): a.refusal(422, "Unprocessable."),
    ("CALLER", "unknown 4xx"): a.raw(418, PAGE, b"teapot"),
    ("CALLER", "too long"): a.context_length(),
    ("CALLER", "policy"): a.refusal(400, "Your request was rejected.", code="content_policy_violation"),
    ("OWNER_MISS", "404, none named"): a.not_found(),
    ("ORIGIN_MISS", "not its reasoning"): a.invalid_encrypted_content(),
    ("OVERLOAD", "503"): a.overloaded(),
    ("OVERLOAD", "503, in 60 s"): a.overloaded(retry_after=60),
    ("TRANSIENT", "520 of the edge"): a.server_error(520),
    ("TRANSIENT", "unknown 5xx"): a.raw(599, PAGE, b"?"),
    ("EGRESS_LIMIT", "429 of the edge"): a.cloudflare_429(),
    ("AMBIGUOUS", "reset"): t.reset_before_headers(),
    ("AMBIGUOUS", "silence"): t.hang(),
    ("AMBIGUOUS", "no HTTP"): a.garbage(),
    ("TRANSIENT", "stream cut"): a.ok() | t.reset_mid_stream(1),
}
STEPS |= {("CALLER", str(status)): a.raw(status, PAGE, b"no") for status in (405, 413, 415)}
STEPS |= {("TRANSIENT", str(status)): a.raw(status, PAGE, b"no") for status in (500, 502, 504)}
IN_STREAM = {
    "RATE": ("rate_limit_exceeded", "Rate limit reached. Please try again in 1.898s."),
    "BILLING": ("insufficient_quota", "You exceeded your current quota."),
    "MODEL_ACCESS": ("model_not_found", "The model does not exist."),
    "CALLER": ("context_length_exceeded", "Too long."),
    "OVERLOAD": ("server_is_overloaded", "Our servers are currently overloaded."),
    "TRANSIENT": ("server_error", "The server had an error."),
}
CUTS = {"reset": t.reset_mid_stream(3), "closed": t.close_mid_stream(3), "silence": t.hang_mid_stream(3)}
READ_CUTS = {"reset": t.reset_in_body(999), "closed": t.close_in_body(999), "silence": t.hang_in_body(999)}
NOWHERE = "http://127.0.0.1:9"
LIMITED = {label: {"daily_limit_usd": 10_000.0} for label in "abc"}


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    failure: str
    phase: str
    signal: str
    cells: dict[str, str]
    marks: str

    def __str__(self) -> str:
        return f"{self.failure} {self.phase} {self.signal}"

    @property
    def streams(self) -> bool:
        return self.signal in {"in the stream", "stream cut"} or self.failure == "MID_STREAM"


def rows() -> list[Row]:
    found = []
    for line in TABLE.strip().splitlines()[1:]:
        if line.startswith("---"):
            continue
        what, stateless, creates, reads, everybody, marks = (cell.strip() for cell in line.split("|"))
        failure, phase, signal = what.split(None, 2)
        cells = {"stateless": stateless, "creates": creates, "reads": reads, "everybody": everybody}
        found.append(Row(failure, phase, signal, {kind: cell for kind, cell in cells.items() if cell != "·"}, marks))
    return found


ALIKE = {"405", "409", "413", "415", "422", "502", "504"}
"""Statuses that differ from their neighbours in the table by their number only: the default run plays one column of them."""
PLAYS = [
    pytest.param(
        row, kind, id=f"{row}, {kind}", marks=[pytest.mark.slow] if row.signal in ALIKE and kind != "stateless" else []
    )
    for row in rows()
    for kind in row.cells
]


class Still(Leaping):
    """Stands still; short pauses leap, and what waits for minutes (the free check of a key) waits for ever."""

    async def sleep(self, seconds: float) -> None:
        if seconds > 10:
            await asyncio.get_running_loop().create_future()
        await super().sleep(seconds)


def request(row: Row, kind: str) -> Request:
    if row.phase == "P1":  # more than the kernel takes at once, so that it cannot be sent whole
        target = "/v1/files" if kind == "creates" else "/v1/audio/transcriptions"
        return post(target, LARGE, "multipart/form-data; boundary=x")
    if kind == "reads":
        return get("/v1/models")
    if row.streams:
        said = {"model": "gpt-4o", "input": "hi", "stream": True, "background": kind == "creates"}
        return post("/v1/responses", json.dumps(said).encode())
    return upload() if kind == "creates" else chat()


def step(row: Row, kind: str):
    """What the fake does; None where the way there is broken, not the answer."""
    if row.failure == "PRE_DISPATCH":
        return None
    if row.failure == "MID_STREAM":
        return a.raw(200, PAGE, b"y" * 5000) | READ_CUTS[row.signal] if kind == "reads" else a.ok() | CUTS[row.signal]
    if row.signal == "in the stream":
        return a.error_in_stream(*IN_STREAM[row.failure], after=0 if row.phase == "P3" else 2)
    return STEPS[row.failure, row.signal]


def bad_way(row: Row, there: Stage) -> str:
    return there.fake.base_url.replace("http:", "https:") if row.signal == "no TLS" else NOWHERE


def marks(there: Stage) -> str:
    """Everything that is remembered of failures."""
    state, now = there.engine.state, there.engine.clock.monotonic()
    names = {standing.domain: name.removeprefix("id-") for name, standing in state.accounts.items()}
    names |= {standing.organization: name.removeprefix("id-") for name, standing in state.accounts.items()}
    found = []
    for (domain, _), scope in state.scopes.items():
        if scope.cooling.width:
            rest = round(scope.cooling.until - now, 3)
            found.append(f"{names[domain]} scope {'about 1' if 0.8 <= rest <= 1.2 else f'{rest:g}'}")
        if scope.weather.until > -math.inf:
            found.append(f"{names[domain]} weather")
    for name, purse in state.purses.items():
        if purse.width:
            found.append(f"{names[name]} {'project' if '/' in name else 'organization'} {purse.until - now:g}")
    for origin in state.origins.values():
        if origin.cooling.width:
            found.append(f"egress {origin.cooling.until - now:g}")
        if not origin.weather.is_clear(now):
            found.append("way")
    found += [f"{name.removeprefix('id-')} model {until - now:g}" for (name, _), until in state.exclusions.items()]
    for name, standing in state.accounts.items():
        label = name.removeprefix("id-")
        if standing.auth_failed is not None:
            found.append(f"{label} key {standing.recheck_at - now:g}")
        if failed := sum(weight for _, _, weight in standing.breaker._slots):
            found.append(f"{label} breaker {failed:g}")
        else:
            assert standing.weather.until == -math.inf, "a cloud without a failure"
    found += [f"not here: {name}" for name, _ in state.owners._missing]
    return ", ".join(found) or "-"


def told(got: Got) -> str:
    """The answer in the table's words."""
    if got.by is not None:
        return f"cut {got.by}" if got.cut else f"{got.status} {got.by}"
    code = got.error["code"]
    said = {name for name in got.headers if name.startswith("retry-after")}
    said |= {f"x-should-retry: {got.headers['x-should-retry']}"} if "x-should-retry" in got.headers else set()
    assert said == OURS[code], (code, got.headers)
    if "retry-after-ms" in said:
        seconds = int(got.headers["retry-after-ms"]) / 1000
        assert int(got.headers["retry-after"]) == math.ceil(seconds)
        assert f"Please try again in {seconds:.3f}s." in got.error["message"]
    return f"{got.status} {code}"


@pytest.mark.parametrize(("row", "kind"), PLAYS)
async def test_a_failure(row, kind):
    everybody = kind == "everybody"
    asked = request(row, kind)
    settings = {"header_timeout_s": 0.2} if row.failure == "AMBIGUOUS" and row.signal == "silence" else {}
    if row.failure == "MID_STREAM" and row.signal == "silence":
        settings = {"idle_timeout_s": 0.2}
    clock = Still()
    async with stage("abc", clock=clock, pricing=FlatPricing(), accounts=LIMITED, **settings) as there:
        guilty = "abc" if everybody else "a"
        does = step(row, kind)
        if does is not None:
            for label in guilty:
                there.fake.always(f"sk-{label}", does)
            if row.failure == "AMBIGUOUS" and row.signal == "reset" and kind == "reads":
                there.fake.clear("sk-a")
                there.fake.script("sk-a", does)
        elif row.phase == "P1":
            there.fake.reset_connections(9 if everybody else 1)
        else:
            way = bad_way(row, there)
            there.engine.update(
                accounts=[one.replace(base_url=way) if one.label in guilty else one for one in there.accounts]
            )
        got = await there.ask(asked)

        record = there.till.records[-1]
        tried = " ".join(attempt.label for attempt in record.attempts)
        assert f"{tried}: {told(got)}" == row.cells[kind]
        if row.phase not in {"P0", "P1"}:
            assert there.asked() == tried
        assert there.fake.violations() == []
        assert there.fake.duplicates() == {}
        if kind == "stateless":
            assert marks(there) == row.marks
        if got.cut or (row.phase == "P2" and got.by is None and kind != "reads" and not _is_upload(asked)):
            assert record.estimated or record.usage is None
        if row.phase == "P4" and kind != "reads" and got.cut:
            assert record.estimated
            assert record.cost > 0
            assert b"[DONE]" not in got.body
            assert b"response.completed" not in got.body
        if got.by is not None and got.status >= 400:
            assert record.cost == 0
            verbatim = await there.ask_of(got.by, asked)
            assert (verbatim.status, verbatim.body) == (got.status, got.body)


def _is_upload(asked: Request) -> bool:
    return asked.target == "/v1/files"


# --- what the client does ---


@pytest.mark.parametrize("phase", ["P2", "P3", "P4"])
@pytest.mark.parametrize("creates", [False, True])
async def test_a_client_that_leaves_is_nobodys_fault(phase, creates):
    """NEUTRAL: nothing is remembered, the upstream is let go at once, what was used is estimated."""
    said = {"model": "gpt-4o", "input": "hi", "stream": True, "background": creates}
    asked = post("/v1/responses", json.dumps(said).encode())
    async with stage("ab", clock=Still(), pricing=FlatPricing(), accounts=LIMITED) as there:
        does: dict[str, Step | Toxic] = {
            "P2": t.hang(),
            "P3": a.ok() | t.hang_mid_stream(1),
            "P4": a.ok(every=0.05),
        }
        there.fake.script("sk-a", does[phase])
        if phase == "P4":
            answer = await there.engine.handle(asked)
            await anext(answer.body)
            await answer.aclose()
        else:
            asking = asyncio.create_task(there.engine.handle(asked))
            await there.fake.until(lambda: bool(there.fake.log) and there.fake.log[0].body_at is not None)
            await there.fake.until(lambda: phase == "P2" or there.fake.log[0].answered_at is not None)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await there.fake.until(lambda: there.fake.log[0].aborted)
        assert (there.asked(), marks(there)) == ("a", "-")
        record = there.till.last
        assert (record.failure, record.estimated or record.open) == ("gone", True)
        assert record.cost > 0


async def test_a_client_that_leaves_at_the_error_has_seen_it_and_so_have_we():
    """SDKs close a stream as soon as it says an error."""
    said = {"model": "gpt-4o", "input": "hi", "stream": True}
    async with stage("a", clock=Still(), pricing=FlatPricing(), accounts=LIMITED) as there:
        there.fake.script("sk-a", a.error_in_stream(*IN_STREAM["RATE"], after=2) | t.hang_mid_stream(9))
        answer = await there.engine.handle(post("/v1/responses", json.dumps(said).encode()))
        seen = b""
        while b"response.failed" not in seen:
            seen += await anext(answer.body)
        await answer.aclose()
        assert marks(there) == "a scope 1.898"
        assert there.till.last.failure == "rate"


# --- how far away the next one must be ---


ONE_PROJECT = {"b": {"organization": "org-a", "project": "proj-a"}}
ONE_ORGANIZATION = {"b": {"organization": "org-a", "project": "proj-b"}}
FAR = {
    "RATE": (a.rate_limited(retry_after=20), "a c", "a b"),
    "BILLING of the organization": (a.insufficient_quota(), "a c", "a c"),
    "BILLING of the project": (a.spend_limit("project"), "a c", "a b"),
    "AUTH": (a.invalid_key(), "a b", "a b"),
    "MODEL_ACCESS": (a.forbidden(), "a b", "a b"),
    "TRANSIENT": (a.server_error(), "a b", "a b"),
}
"""Who is asked when b is of a's project, and when it is of another project of a's organization; c is of neither."""


@pytest.mark.parametrize("case", FAR)
@pytest.mark.parametrize("project", [True, False])
async def test_the_next_one_is_far_enough_away(case, project):
    does, same_project, same_organization = FAR[case]
    own = {"a": {"organization": "org-a", "project": "proj-a"}}
    async with stage("abc", accounts=own | (ONE_PROJECT if project else ONE_ORGANIZATION), clock=Still()) as there:
        there.fake.account("sk-b", organization="org-a", project="proj-a" if project else "proj-b")
        there.fake.always("sk-a", does)
        assert (await there.ask()).status == 200
        assert there.asked() == (same_project if project else same_organization)


# --- things ---


async def test_a_thing_nobody_knows_is_looked_for_and_the_first_answer_stands():
    """OWNER_MISS: a read goes on while the owner is unknown; "not here" lasts ten minutes."""
    clock = Still()
    async with stage("abc", clock=clock) as there:
        got = await there.ask(get("/v1/files/file-000000000000"))
        assert (got.status, got.by, there.asked()) == (404, "a", "a b c")
        assert marks(there) == ", ".join(["not here: file-000000000000"] * 3)
        clock.at += 599
        again = await there.ask(get("/v1/files/file-000000000000"))
        assert (again.status, len(there.fake.log)) == (404, 4)
        clock.at += 2
        await there.ask(get("/v1/files/file-000000000000"))
        assert there.asked() == "a b c a b c", "a has just said it again"


async def test_what_has_an_owner_is_never_asked_of_another():
    """Every failure of the owner, for a read and for a generation that names it."""
    for does in STEPS.values():
        if does in (STEPS["OWNER_MISS", "404, none named"], STEPS["ORIGIN_MISS", "not its reasoning"]):
            continue
        async with stage("ab", clock=Still(), header_timeout_s=0.2) as there:
            there.fake.stock("sk-b", "file", id="file-00000000000b")
            assert (await there.ask(get("/v1/files/file-00000000000b"))).by == "b"
            there.fake.always("sk-b", does)
            seen = len(there.fake.log)
            await there.ask(get("/v1/files/file-00000000000b"))
            await there.ask(post("/v1/batches", b'{"input_file_id": "file-00000000000b"}'))
            assert {one.key for one in there.fake.log[seen:]} == {"sk-b"}, does


# --- everybody is blocked, by different things ---


BLOCKED = """
a            b            | answer
429          429          | 429 rate_limit_exceeded
429          no quota     | 429 rate_limit_exceeded
429          401          | 429 rate_limit_exceeded
429          disabled     | 429 rate_limit_exceeded
429          limit        | 429 rate_limit_exceeded
429          model scope  | 429 rate_limit_exceeded
no quota     no quota     | 429 insufficient_quota
no quota     limit        | 429 insufficient_quota
limit        limit        | 429 insufficient_quota
401          401          | 403 no_usable_account
401          disabled     | 403 no_usable_account
disabled     disabled     | 403 no_usable_account
"""
BLOCKING = {"429": a.rate_limited(retry_after=20), "no quota": a.insufficient_quota(), "401": a.invalid_key()}
SETTING = {"disabled": {"enabled": False}, "limit": {"daily_limit_usd": 0.001}, "model scope": {"models": ("o3",)}}


@pytest.mark.parametrize("line", BLOCKED.strip().splitlines()[1:])
async def test_all_are_blocked(line):
    what, answer = (part.strip() for part in line.split("|"))
    kinds = dict(zip("ab", [part for part in what.split("  ") if part], strict=True))
    kinds = {label: kind.strip() for label, kind in kinds.items()}
    each = {label: SETTING.get(kind, {}) for label, kind in kinds.items()}
    async with stage("ab", clock=Still(), pricing=FlatPricing(), accounts=each) as there:
        for label, kind in kinds.items():
            if kind in BLOCKING:
                there.fake.always(f"sk-{label}", BLOCKING[kind])
        for _ in range(2):  # the second time nobody is asked
            got = await there.ask()
            assert told(got) == answer
            assert "a: " in got.error["message"]
            assert "b: " in got.error["message"]
        assert len(there.fake.log) == sum(kind in BLOCKING for kind in kinds.values())
