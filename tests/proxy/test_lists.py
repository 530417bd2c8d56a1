"""Lists of things that live in one account each are one list, in order, page by page, whatever becomes of the accounts meanwhile."""

import json
import random

import pytest

from tests.proxy import runtime_rig as rig

from codex_manager.core.account import Account
from codex_manager.core.resources import FAMILIES
from codex_manager.core.secret import Secret
from codex_manager.engine.aiohttp_transport import AiohttpTransport
from codex_manager.engine.clock import SystemClock
from codex_manager.engine.engine import Engine
from codex_manager.engine.messages import Request
from codex_manager.engine.settings import EngineSettings
from codex_manager.ledger import Reader
from codex_manager.proxy.lists import MergedLists, is_merged_list
from codex_manager.testing import FakeOpenAI, answers, toxics


KEYS = ("sk-a", "sk-b", "sk-c")
MERGED = [family for family in FAMILIES if family.merged]


class Stage:
    def __init__(self, fake, engine) -> None:
        self.fake, self.engine = fake, engine
        self.merges = self.tells = True
        self.restart()

    def restart(self) -> None:
        """Forget where pages ended."""
        self.lists = MergedLists(self.engine, merges=lambda: self.merges, tells=lambda: self.tells)

    async def ask(self, target: str, *headers: tuple[bytes, bytes]):
        answer = await self.lists.answer(Request(method="GET", target=target, headers=headers, id="req-1"))
        body = b"".join([chunk async for chunk in answer.body])
        await answer.aclose()
        return answer, json.loads(body)

    async def page(self, target: str):
        answer, document = await self.ask(target)
        assert answer.status == 200, document
        return document

    async def ids(self, target: str) -> list[str]:
        return [thing["id"] for thing in (await self.page(target))["data"]]

    async def walk(self, target: str, between=lambda _: None, most: int = 200) -> list[str]:
        """As SDKs do: while there is more, after the last one."""
        found, after = [], ""
        for _ in range(most):
            document = await self.page(target + after)
            found += [thing["id"] for thing in document["data"]]
            if not document["has_more"] or not document["data"]:
                return found
            between(document)
            after = f"{'&' if '?' in target else '?'}after={found[-1]}"
        raise AssertionError("the list has no end")

    def stock(self, times: dict[str, list[int]], kind: str = "file") -> dict[str, int]:
        """Things by id, with their times."""
        made = {}
        for key, all_of_key in times.items():
            for time in all_of_key:
                made[self.fake.stock(key, kind, created_at=time, purpose="batch")] = time
        return made


def account(key: str, **fields) -> Account:
    return Account(id=f"id-{key}", label=key, api_key=Secret(key), **fields)


@pytest.fixture
async def stage():
    made = []

    async def make(*accounts: Account) -> Stage:
        fake = await FakeOpenAI().start()
        for key in KEYS:
            fake.account(key)
        fake.account("sk-a2", *fake._accounts["sk-a"].domain)
        settings = EngineSettings(base_url=fake.base_url, max_inline_wait_s=0.0)
        engine = Engine(AiohttpTransport(), settings, accounts, clock=SystemClock(), random=random.Random(1))
        made.append((fake, engine))
        return Stage(fake, engine)

    yield make
    for fake, engine in made:
        await engine.aclose()
        await fake.stop()


@pytest.fixture
async def three(stage):
    return await stage(*(account(key) for key in KEYS))


def test_only_lists_of_the_table_are_merged():
    for family in MERGED:
        assert is_merged_list("GET", f"/v1/{family.listed}")
        assert is_merged_list("GET", f"/v1/{family.listed}?limit=3")
        assert not is_merged_list("POST", f"/v1/{family.listed}")
    for path in ("/v1/models", "/v1/files/file-1", "/v1/vector_stores/vs_1/files", "/v1/threads", "/files", "/v1"):
        assert not is_merged_list("GET", path)


async def test_newest_first_whoever_has_it(three):
    made = three.stock({"sk-a": [10, 40], "sk-b": [20, 50], "sk-c": [30]})
    document = await three.page("/v1/files")
    assert [thing["created_at"] for thing in document["data"]] == [50, 40, 30, 20, 10]
    assert document["object"] == "list"
    assert not document["has_more"]
    assert document["first_id"] == max(made, key=made.__getitem__)
    assert document["last_id"] == min(made, key=made.__getitem__)


@pytest.mark.parametrize("family", MERGED, ids=lambda family: family.name)
async def test_every_list_of_the_table_is_walked_whole(three, family):
    """Also without the memory of where pages ended."""
    made = three.stock({"sk-a": [10, 40, 60, 61], "sk-b": [20, 50], "sk-c": [30]}, family.name)
    for target in (f"/v1/{family.listed}?limit=2", f"/v1/{family.listed}"):
        found = await three.walk(target)
        assert sorted(found) == sorted(made)
        assert await three.walk(target, between=lambda _: three.restart()) == found


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_equal_times_are_told_once_in_an_order_that_stays(three, order, limit):
    three.stock({"sk-a": [5, 5, 5, 9], "sk-b": [5, 5], "sk-c": [5, 1, 5, 5]})
    whole = await three.ids(f"/v1/files?order={order}")
    assert len(set(whole)) == 10
    assert await three.walk(f"/v1/files?limit={limit}&order={order}") == whole
    assert await three.walk(f"/v1/files?limit={limit}&order={order}", between=lambda _: three.restart()) == whole
    other = await three.ids(f"/v1/files?order={'asc' if order == 'desc' else 'desc'}")
    assert other == whole[::-1]


async def test_before_gives_what_stands_right_before(three):
    three.stock({"sk-a": [1, 4, 7], "sk-b": [2, 5, 8], "sk-c": [3, 6, 9]}, "vector_store")
    whole = await three.ids("/v1/vector_stores")
    document = await three.page(f"/v1/vector_stores?limit=3&before={whole[6]}")
    assert [thing["id"] for thing in document["data"]] == whole[3:6]
    assert document["has_more"]
    assert (document["first_id"], document["last_id"]) == (whole[3], whole[5])
    document = await three.page(f"/v1/vector_stores?limit=5&before={whole[3]}")
    assert [thing["id"] for thing in document["data"]] == whole[:3]
    assert not document["has_more"]
    assert await three.ids(f"/v1/vector_stores?after={whole[1]}&before={whole[5]}") == whole[2:5]


async def test_deleting_what_was_shown_loses_nothing(three):
    """`for file in client.files.list(limit=2): client.files.delete(file.id)` deletes the cursor, too."""
    made = three.stock({"sk-a": [5, 5, 5, 9, 11], "sk-b": [5, 5, 20], "sk-c": [5, 1, 12]})

    def delete(document):
        for thing in document["data"]:
            three.fake.discard("file", thing["id"])

    assert sorted(await three.walk("/v1/files?limit=2", between=delete)) == sorted(made)


async def test_what_is_made_meanwhile_is_not_told_twice(three):
    made = three.stock({"sk-a": [5, 6, 7], "sk-b": [8, 9], "sk-c": [10]})
    new: list[str] = []

    def make(_):
        new.extend(three.fake.stock(key, "file", created_at=100 + len(new)) for key in KEYS)

    found = await three.walk("/v1/files?limit=2", between=make)
    assert len(found) == len(set(found))
    assert set(made) <= set(found) <= set(made) | set(new)


async def test_an_account_that_fails_on_one_page_is_named_and_told_later(three):
    made = three.stock({"sk-a": [10, 40, 70], "sk-b": [20, 50, 80], "sk-c": [30, 60, 90]})
    three.fake.script("sk-b", answers.server_error(500), path="/v1/files")
    answer, first = await three.ask("/v1/files?limit=2")
    assert dict(answer.headers)[b"X-Codex-Manager-Left-Out"] == b"sk-b"
    assert [thing["created_at"] for thing in first["data"]] == [90, 70]
    last = first["data"][-1]["id"]
    answer, rest = await three.ask(f"/v1/files?after={last}")
    assert b"X-Codex-Manager-Left-Out" not in dict(answer.headers)
    assert sorted(thing["id"] for thing in first["data"] + rest["data"]) == sorted(made)


async def test_an_account_that_always_fails_does_not_keep_the_list_from_ending(three):
    three.stock({"sk-a": [10, 40], "sk-b": [20], "sk-c": [30]})
    three.fake.always("sk-b", answers.overloaded())
    assert len(await three.walk("/v1/files?limit=2")) == 3


async def test_a_list_does_not_end_before_an_account_that_has_more(three):
    """Rather its failure, which SDKs try again, than a list that looks whole."""
    three.stock({"sk-a": [90], "sk-b": [80, 20, 10]})
    first = await three.page("/v1/files?limit=2")
    three.fake.script("sk-b", answers.server_error(500), path="/v1/files")
    target = f"/v1/files?limit=2&after={first['last_id']}"
    answer, document = await three.ask(target)
    assert (answer.status, document["error"]["type"]) == (500, "server_error")
    assert len(await three.ids(target)) == 2


async def test_an_account_at_its_limit_is_asked_all_the_same(three):
    """Lists are free, and its things are there."""
    three.stock({"sk-a": [10], "sk-b": [20]})
    three.fake.script("sk-b", answers.insufficient_quota(), path="/v1/files")
    assert len(await three.ids("/v1/files")) == 1
    assert len(await three.ids("/v1/files")) == 2


async def test_accounts_of_one_project_are_asked_once_and_stand_in_for_each_other(stage):
    it = await stage(account("sk-a"), account("sk-a2"), account("sk-b"))
    it.stock({"sk-a": [10, 30], "sk-b": [20]})
    assert len(await it.ids("/v1/files")) == 3  # nobody knew yet that two are one
    before = it.fake.counts("sk-a2")
    assert len(await it.ids("/v1/files")) == 3
    assert it.fake.counts("sk-a2") == before
    it.fake.always("sk-a", answers.server_error(503))
    answer, document = await it.ask("/v1/files")
    assert len(document["data"]) == 3
    assert b"X-Codex-Manager-Left-Out" not in dict(answer.headers)


async def test_one_domain_passes_byte_for_byte(stage):
    it = await stage(account("sk-a"), account("sk-b", enabled=False))
    body = b'{ "object":"list",  "data" : [ ] , "has_more":false }'
    it.fake.script("sk-a", answers.raw(200, [("content-type", "application/json")], body))
    answer = await it.lists.answer(Request(method="GET", target="/v1/files", headers=()))
    assert b"".join([chunk async for chunk in answer.body]) == body
    assert answer.account_id == "id-sk-a"
    await answer.aclose()


async def test_without_merging_the_next_page_is_the_same_accounts(three):
    three.merges = False
    made = three.stock({"sk-a": [10, 20, 30, 40], "sk-b": [20, 50, 51, 52], "sk-c": [30, 60, 61, 62]})
    first = await three.page("/v1/files?limit=3")
    assert len(first["data"]) == 3
    # the engine learns what passes by; here it is told
    from codex_manager.core.resources import Learned

    seen = three.fake.log[-1]
    domain = three.engine.state.accounts[f"id-{seen.key}"].domain
    three.engine.state.owners.note([Learned(first["last_id"], "file")], domain, f"id-{seen.key}", 1.0)
    assert len(await three.ids(f"/v1/files?limit=3&after={first['last_id']}")) == 1
    assert three.fake.log[-1].key == seen.key
    assert made


async def test_filters_and_the_clients_headers_go_along(three):
    three.fake.stock("sk-a", "file", created_at=1, purpose="batch")
    three.fake.stock("sk-b", "file", created_at=2, purpose="fine-tune")
    answer, document = await three.ask(
        "/v1/files?purpose=fine%2Dtune&limit=5", (b"OpenAI-Beta", b"assistants=v2"), (b"If-None-Match", b"x")
    )
    assert [thing["purpose"] for thing in document["data"]] == ["fine-tune"]
    assert answer.status == 200
    for seen in three.fake.log:
        assert seen.header("openai-beta") == "assistants=v2"
        assert seen.header("if-none-match") is None
        assert "purpose=fine%2Dtune" in seen.query


async def test_a_filter_of_metadata_is_kept_over_pages(three):
    for key in KEYS:
        for time in range(4):
            three.fake.stock(key, "fine_tuning_job", created_at=time, metadata={"run": str(time % 2)})
    assert len(await three.walk("/v1/fine_tuning/jobs?limit=2&metadata[run]=1")) == 6


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=-1", "order=up", "after=%0d%0a", "limit=1&limit=2"]
)
async def test_what_is_wrong_with_a_query_openai_says(three, query):
    three.stock({"sk-a": [1], "sk-b": [2]}, "vector_store")
    answer, document = await three.ask(f"/v1/vector_stores?{query}")
    assert answer.account_id is not None
    assert answer.status in {200, 400, 404}
    assert answer.status == 200 or document["error"]["type"] == "invalid_request_error"


async def test_a_cursor_that_names_nothing_is_answered_by_openai(three):
    three.stock({"sk-a": [1], "sk-b": [2]})
    answer, document = await three.ask("/v1/files?after=file-nobodys")
    assert (answer.status, document["error"]["message"]) == (404, "No such File object: file-nobodys")


async def test_a_forgotten_cursor_that_does_not_fit_the_filter_is_a_place_all_the_same(three):
    three.fake.stock("sk-a", "file", created_at=1, purpose="batch")
    cursor = three.fake.stock("sk-b", "file", created_at=2, purpose="fine-tune")
    three.fake.stock("sk-c", "file", created_at=3, purpose="batch")
    document = await three.page(f"/v1/files?purpose=batch&after={cursor}")
    assert [thing["created_at"] for thing in document["data"]] == [1]


async def test_when_nobody_answers_the_refusal_that_says_most_is_told(three):
    three.fake.always("sk-a", answers.forbidden())
    three.fake.always("sk-b", answers.rate_limited(retry_after_ms=1500))
    three.fake.always("sk-c", answers.server_error(500))
    answer, document = await three.ask("/v1/files")
    assert answer.status in {429, 500}
    assert document["error"]["message"]
    three.fake.always("sk-c", answers.bad_request("no such parameter"))
    answer, document = await three.ask("/v1/files")
    assert (answer.status, document["error"]["message"]) == (400, "no such parameter")


async def test_when_no_key_is_good_the_engine_says_so(three):
    three.fake.always(None, answers.invalid_key())
    for _ in range(2):
        answer, document = await three.ask("/v1/files")
        assert (answer.status, document["error"]["code"]) == (403, "no_usable_account")


async def test_an_account_whose_key_is_bad_is_named(three):
    three.stock({"sk-a": [1], "sk-b": [2]})
    three.fake.always("sk-c", answers.invalid_key())
    for _ in range(2):
        answer, document = await three.ask("/v1/files")
        assert len(document["data"]) == 2
        assert dict(answer.headers)[b"X-Codex-Manager-Left-Out"] == b"sk-c"
    assert three.fake.counts("sk-c") == 1
    three.tells = False
    answer, _ = await three.ask("/v1/files")
    assert b"X-Codex-Manager-Left-Out" not in dict(answer.headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"data": 1}',
        b'{"data": [' * 100_000,
        b"\xff",
        b'{"data": [], "x": NaN}',
        b'{"data": [], "x": 1e999}',
    ],
)
async def test_what_is_no_list_is_left_out(three, body):
    three.stock({"sk-a": [1], "sk-b": [2]})
    three.fake.script("sk-a", answers.raw(200, [("content-type", "application/json")], body))
    answer, document = await three.ask("/v1/files")
    assert [thing["created_at"] for thing in document["data"]] == [2]
    assert dict(answer.headers)[b"X-Codex-Manager-Left-Out"] == b"sk-a"


async def test_an_upstream_that_knows_no_cursors_does_not_run_for_ever(three):
    body = json.dumps(
        {"object": "list", "data": [{"id": "x1", "created_at": 3}, {"id": "x2", "created_at": 2}], "has_more": True}
    )
    three.fake.always("sk-a", answers.raw(200, [], body.encode()), path="/v1/files")
    three.stock({"sk-b": [1, 4]})
    found = await three.walk("/v1/files?limit=2", most=20)
    assert sorted(found) == sorted({*found})
    assert len(found) == 4


async def test_things_are_known_by_their_owners_afterwards(three):
    made = three.stock({"sk-a": [1], "sk-b": [2]})
    await three.page("/v1/files")
    owners = three.engine.state.owners
    for name, time in made.items():
        owner = owners.owner(name)
        assert owner is not None
        assert (owner.account_id, owner.family, owner.strong) == ("id-sk-a" if time == 1 else "id-sk-b", "file", True)


async def test_a_hanging_account_is_left_out_in_time(three, monkeypatch):
    from codex_manager.proxy import reading

    monkeypatch.setattr(reading, "ASK_TIMEOUT_S", 0.2)
    three.stock({"sk-a": [1], "sk-b": [2]})
    three.fake.always("sk-b", toxics.hang())
    answer, document = await three.ask("/v1/files")
    assert len(document["data"]) == 1
    assert dict(answer.headers)[b"X-Codex-Manager-Left-Out"] == b"sk-b"


async def test_no_lease_is_left_over(three):
    three.stock({"sk-a": [1, 3], "sk-b": [2]})
    three.fake.script("sk-b", answers.server_error(500), answers.raw(200, [], b"{"))
    for _ in range(3):
        await three.walk("/v1/files?limit=1")
    assert three.engine.state.in_flight() == 0


async def test_the_runtime_merges_lists_until_it_is_told_not_to(tmp_path):
    async with rig.new_home(tmp_path, *KEYS) as home:
        home.create(*KEYS)
        for key in KEYS:
            home.fake.stock(key, "file", created_at=1)
        async with rig.running(home) as runtime:
            asked = rig.incoming("GET", "/v1/files?limit=10")
            status, document = await rig.ask(runtime, asked, b"")
            assert (status, len(document["data"])) == (200, 3)
            home.configure("routing:\n  merge_lists: false")

            async def is_single() -> bool:
                return len((await rig.ask(runtime, asked, b""))[1]["data"]) == 1

            await rig.in_force(is_single)
        with Reader.open(home.paths.ledger_file) as reader:
            records = reader.requests()
            assert {record.endpoint for record in records} == {"files"}
            assert records[-1].status == 200
            assert records[-1].account_id is None
            assert {owner.family for _, owner in reader.owners()} == {"file"}
