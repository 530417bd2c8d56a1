"""Layer 1, played: requests go where the things are that they name, known or not, and say whose they are when they cannot."""

import asyncio
import json

import pytest

from tests.engine.screenplay import Stage, get, play, post, stage, upload

from codex_manager.core.resources import Learned, digest
from codex_manager.engine.messages import Request
from codex_manager.testing import answers as a
from codex_manager.testing import toxics as t


def knows(there: Stage, label: str, *names: str, family: str = "file", strong: bool = True) -> None:
    """As if an answer of this account had shown these."""
    state, account_id = there.engine.state, f"id-{label}"
    wall = there.engine.clock.time() - 3600
    state.owners.note(
        [Learned(n, family, strong=strong) for n in names], state.accounts[account_id].domain, account_id, wall
    )


def owner_of(there: Stage, name: str) -> str | None:
    """Through which account it was seen."""
    owner = there.engine.state.owners.owner(name)
    return None if owner is None else owner.account_id


def delete(target: str) -> Request:
    return Request(method="DELETE", target=target, headers=((b"Host", b"127.0.0.1:8080"),))


def respond(**fields) -> Request:
    return post("/v1/responses", json.dumps({"model": "gpt-5", "input": "hello"} | fields).encode())


async def made_by(there: Stage, label: str, request: Request) -> str:
    """Create something in the account of this label; the ledger never saw it."""
    got = await there.ask_of(label, request)
    return str(json.loads(got.body)["id"])


# --- what is known ---


async def test_what_was_created_is_asked_for_where_it_was_created():
    async with stage("abc") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=20), a.rate_limited(retry_after=20))
        there.fake.script("sk-b", a.rate_limited(retry_after=20))
        name = json.loads((await there.ask(upload())).body)["id"]
        for request in (get(f"/v1/files/{name}"), get(f"/v1/files/{name}/content"), delete(f"/v1/files/{name}")):
            got = await there.ask(request)
            assert (got.status, got.by, got.answer.facts["by"]) == (200, "c", "owner")
        assert there.asked() == "a b c c c c"


async def test_what_follows_goes_where_its_things_are():
    async with stage("ab") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=0.05))
        name = json.loads((await there.ask(upload())).body)["id"]
        await asyncio.sleep(0.6)
        got = await there.ask(post("/v1/vector_stores", json.dumps({"file_ids": [name]}).encode()))
        assert (got.status, got.by) == (200, "b")
        store = json.loads(got.body)["id"]
        assert (await there.ask(get(f"/v1/vector_stores/{store}"))).by == "b"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("encoding", ["", "gzip", "br", "zstd"])
async def test_ids_are_learned_from_answers_whole_streamed_and_compressed(stream, encoding):
    async with stage("ab") as there:
        first = a.ok() | t.encoded(encoding) if encoding else a.ok()
        there.fake.script("sk-a", a.rate_limited(retry_after=0.05))
        there.fake.script("sk-b", first)
        got = await there.ask(respond(stream=stream))
        assert got.by == "b"
        await asyncio.sleep(0.6)
        known = [name for name in there.engine.state.owners._known if name.startswith("resp_")]
        assert len(known) == 1
        assert (await there.ask(respond(previous_response_id=known[0]))).by == "b"


async def test_a_stream_s_id_is_known_before_its_end():
    async with stage("a") as there:
        there.fake.script("sk-a", a.ok(chunks=3, every=0.2))
        answer = await there.engine.handle(respond(stream=True))
        await anext(answer.body)
        assert any(name.startswith("resp_") for name in there.engine.state.owners._known)
        await answer.aclose()


async def test_what_was_not_stored_is_nobody_s():
    async with stage("a") as there:
        await there.ask(respond(store=False))
        assert not len(there.engine.state.owners)


async def test_a_delete_forgets():
    async with stage("a") as there:
        name = json.loads((await there.ask(upload())).body)["id"]
        assert there.engine.state.owners.owner(name) is not None
        await there.ask(delete(f"/v1/files/{name}"))
        assert there.engine.state.owners.owner(name) is None


async def test_any_key_of_the_owner_s_project_may_serve():
    async with stage(
        "abc", accounts={"b": {"organization": "org-1", "project": "p"}, "c": {"organization": "org-1", "project": "p"}}
    ) as there:
        there.fake.account("sk-b", organization="org-1", project="p")
        there.fake.account("sk-c", organization="org-1", project="p")
        knows(there, "b", "file-1")
        there.fake.script("sk-b", a.invalid_key())
        there.fake.script("sk-c", a.raw(200, {}, b"{}"))
        got = await there.ask(get("/v1/files/file-1"))
        assert there.asked() == "b c"
        assert got.by == "c"


# --- the owner cannot serve ---


async def test_a_limited_owner_is_waited_for():
    async with stage("ab", max_inline_wait_s=5.0) as there:
        knows(there, "b", "file-1")
        there.fake.script("sk-b", a.rate_limited(retry_after=0.6), a.raw(200, {}, b"{}"))
        got = await there.ask(
            respond(input=[{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}])
        )
        assert (got.status, got.by, there.asked()) == (200, "b", "b b")


async def test_a_long_limited_owner_is_named_with_its_time_and_nobody_else_is_asked():
    async with stage("ab") as there:
        knows(there, "b", "resp_1", family="response")
        there.fake.script("sk-b", a.rate_limited(retry_after=20))
        for _ in range(2):
            got = await there.ask(respond(previous_response_id="resp_1"))
            assert (got.status, got.by, got.error["code"]) == (429, None, "rate_limit_exceeded")
            assert got.error["message"].startswith("resp_1 belongs to 'b'. b: rate limited, again in ")
            assert 18_000 < int(got.headers["retry-after-ms"]) <= 20_000
            assert "Please try again in " in got.error["message"]
        assert there.asked() == "b"


@pytest.mark.parametrize(
    ("fields", "step", "status", "code", "says"),
    [
        ({"enabled": False}, None, 403, "no_usable_account", "b: disabled. `codex-manager enable b` lets it serve again."),
        ({}, a.invalid_key(), 403, "no_usable_account", "`codex-manager edit b --key -` gives it a key that works."),
        ({}, a.insufficient_quota(), 429, "insufficient_quota", "Add credit to that account"),
        ({"models": ("gpt-4o",)}, None, 403, "model_not_allowed", "`codex-manager edit b --models gpt-4o,gpt-5`"),
    ],
)  # fmt: skip
async def test_an_owner_that_is_out_is_named_with_the_way_out(fields, step, status, code, says):
    async with stage("ab", accounts={"b": fields}) as there:
        knows(there, "b", "resp_1", family="response")
        if step is not None:
            there.fake.script("sk-b", step)
        got = await there.ask(respond(previous_response_id="resp_1"))
        assert (got.status, got.by, got.error["code"]) == (status, None, code)
        assert got.error["message"].startswith("resp_1 belongs to 'b'. b: ")
        assert says in got.error["message"]
        assert "a" not in there.asked()


async def test_a_removed_owner_is_named_when_nobody_else_has_it():
    async with stage("ab") as there:
        knows(there, "b", "file-1")
        there.engine.update(accounts=there.accounts[:1])
        got = await there.ask(get("/v1/files/file-1"))
        assert (got.status, got.error["code"]) == (403, "no_usable_account")
        assert got.error["message"] == (
            "file-1 belongs to the account 'b', which was removed; no other account has it. "
            "Add the account again with `codex-manager add LABEL`."
        )


async def test_two_owners_are_a_conflict_that_names_both_and_nobody_is_asked():
    async with stage("ab") as there:
        knows(there, "a", "file-1")
        knows(there, "b", "vs_1", family="vector_store")
        got = await there.ask(post("/v1/vector_stores/vs_1/files", b'{"file_id": "file-1"}'))
        assert (got.status, got.error["code"], got.error["param"]) == (409, "account_conflict", "file_id")
        assert got.error["message"].startswith("vs_1 belongs to 'b', but file-1 belongs to 'a'; no account has both.")
        assert got.headers["x-should-retry"] == "false"
        assert there.asked() == ""


async def test_an_echo_is_no_owner_in_a_conflict():
    async with stage("ab") as there:
        name = await made_by(there, "b", upload())
        knows(there, "a", name, strong=False)
        knows(there, "b", "vs_1", family="vector_store")
        there.fake.script("sk-b", a.raw(200, {"content-type": "application/json"}, b"{}"))
        got = await there.ask(post("/v1/vector_stores/vs_1/files", json.dumps({"file_id": name}).encode()))
        assert (got.status, got.by) == (200, "b")


# --- nobody knows whose it is ---


@pytest.mark.parametrize("rest", ["", "/content"])
async def test_a_read_learns_by_404(rest):
    async with stage("abc") as there:
        name = await made_by(there, "c", upload())
        got = await there.ask(get(f"/v1/files/{name}{rest}"))
        assert (got.status, got.by, there.asked()) == (200, "c", "c a b c")
        assert (await there.ask(get(f"/v1/files/{name}{rest}"))).by == "c"
        assert there.asked() == "c a b c c"


async def test_what_nobody_has_is_the_first_answer_and_is_not_asked_about_again():
    async with stage("abc") as there:
        got = await there.ask(get("/v1/files/file-1"))
        assert (got.status, got.by, there.asked()) == (404, "a", "a b c")
        assert got.error["message"] == "No such File object: file-1"
        got = await there.ask(get("/v1/files/file-1"))
        assert (got.status, there.asked()) == (404, "a b c a")


async def test_before_a_delete_the_owner_is_found_by_reading():
    async with stage("abc") as there:
        name = await made_by(there, "c", upload())
        got = await there.ask(delete(f"/v1/files/{name}"))
        assert (got.status, got.by) == (200, "c")
        assert [seen.method for seen in there.fake.log].count("DELETE") == 1


async def test_before_a_generation_the_owner_is_found_by_reading():
    async with stage("abc") as there:
        name = await made_by(there, "b", respond())
        got = await there.ask(respond(previous_response_id=name))
        assert (got.status, got.by) == (200, "b")
        assert [(s.method, there.labels[s.key]) for s in there.fake.log if s.method == "POST"] == [("POST", "b")] * 2


async def test_what_cannot_be_found_is_refused_in_openai_s_words():
    async with stage("abc") as there:
        got = await there.ask(respond(previous_response_id="resp_never"))
        assert (got.status, got.by, got.error["code"]) == (400, "a", "previous_response_not_found")
        posts = [seen for seen in there.fake.log if seen.method == "POST"]
        assert len(posts) == 1


async def test_with_one_account_nobody_looks_for_anything():
    async with stage("a") as there:
        await there.ask(respond(previous_response_id="resp_never"))
        await there.ask(delete("/v1/files/file-1"))
        assert there.asked() == "a a"


async def test_many_who_look_for_the_same_share_one_search():
    async with stage("abc") as there:
        name = await made_by(there, "c", respond())
        got = await there.ask_many(8, request=respond(previous_response_id=name))
        assert {one.by for one in got} == {"c"}
        assert sum(seen.method == "GET" for seen in there.fake.log) == 3


async def test_an_account_that_cannot_be_asked_may_have_it():
    """A 404 of the others proves nothing: the client is told whom to wait for, not that the thing is gone."""
    async with stage("abc") as there:
        name = await made_by(there, "c", respond())
        there.fake.script("sk-c", a.rate_limited(retry_after=20))
        got = await there.ask(respond(previous_response_id=name))
        assert (got.status, got.by) == (200, "c")
        assert all(seen.method == "GET" for seen in there.fake.log if there.labels[seen.key] != "c")


async def test_an_account_that_may_have_it_is_named_while_it_cannot_be_asked():
    async with stage("ab") as there:
        there.fake.script("sk-b", a.rate_limited(retry_after=20), a.rate_limited(retry_after=20))
        got = await there.ask(respond(previous_response_id="resp_1"))
        assert (got.status, got.by, got.error["code"]) == (429, None, "rate_limit_exceeded")
        assert (
            "resp_1 is with none of the accounts that could be asked; others may have it. b: rate limited"
            in got.error["message"]
        )
        assert [seen.method for seen in there.fake.log if there.labels[seen.key] == "a"] == ["GET"]


async def test_a_thing_that_has_moved_is_looked_for_once():
    async with stage("ab") as there:
        name = await made_by(there, "b", upload())
        knows(there, "a", name)
        got = await there.ask(get(f"/v1/files/{name}"))
        assert (got.status, got.by) == (200, "b")
        assert owner_of(there, name) == "id-b"


async def test_a_known_thing_that_is_gone_is_the_owner_s_own_answer():
    async with stage("ab") as there:
        knows(there, "b", "file-1")
        got = await there.ask(get("/v1/files/file-1"))
        assert (got.status, got.by) == (404, "b")


async def test_a_thing_made_a_moment_ago_is_not_looked_for_elsewhere():
    async with stage("ab") as there:
        name = json.loads((await there.ask(upload())).body)["id"]
        there.fake.script("sk-a", a.not_found())
        got = await there.ask(get(f"/v1/files/{name}"))
        assert (got.status, there.asked()) == (404, "a a")
        assert there.engine.state.owners.owner(name) is not None


async def test_what_is_deleted_twice_is_forgotten():
    """The answer to the first DELETE may have been lost."""
    async with stage("ab") as there:
        name = json.loads((await there.ask(upload())).body)["id"]
        await there.ask_of("a", delete(f"/v1/files/{name}"))
        assert (await there.ask(delete(f"/v1/files/{name}"))).status == 404
        assert there.engine.state.owners.owner(name) is None


async def test_a_404_about_something_inside_does_not_move_what_it_is_in():
    async with stage("ab") as there:
        knows(there, "b", "thread_1", family="thread")
        there.fake.script(
            "sk-b",
            a.raw(
                404,
                {"content-type": "application/json"},
                b'{"error": {"message": "No run found with id \'run_7\'.", "type": "invalid_request_error"}}',
            ),
        )
        got = await there.ask(get("/v1/threads/thread_1/runs/run_7"))
        assert (got.status, got.by, there.asked()) == (404, "b", "b")
        assert there.engine.state.owners.owner("thread_1") is not None


async def test_a_404_of_a_request_that_names_nothing_is_handed_on():
    await play([a.not_found(), 200], expect="404 by a")


async def test_ids_that_are_none_are_not_put_into_paths():
    async with stage("ab") as there:
        await there.ask(respond(previous_response_id="resp_/../../organization/costs?x="))
        assert not [seen for seen in there.fake.log if seen.method == "GET"]


async def test_what_is_known_survives_a_restart():
    async with stage("abc") as there:
        name = await made_by(there, "c", upload())
        await there.ask(get(f"/v1/files/{name}"))
        kept = [(change.id, change.owner) for change in there.engine.state.owners.drain() if change.owner is not None]
        async with stage("abc") as later:
            later.engine.state.owners.load(kept)
            await later.ask(get(f"/v1/files/{name}"))
            assert later.asked()[0] == "c"


async def test_metering_off_learns_as_well():
    async with stage("ab", metering=False) as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=20))
        name = json.loads((await there.ask(upload())).body)["id"]
        assert (await there.ask(get(f"/v1/files/{name}"))).by == "b"


# --- encrypted reasoning ---

SECRET = "gAAAAABo" + "x" * 60


def thought(content: str = SECRET, **fields) -> dict:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content} | fields


def going_on(*items: dict, **fields) -> Request:
    return respond(
        input=[{"role": "user", "content": "hi"}, *items, {"role": "user", "content": "go on"}], store=False, **fields
    )


def encrypted_by(there: Stage, label: str, content: str = SECRET) -> None:
    knows(there, label, digest(content.encode()), family="encrypted")


async def test_reasoning_goes_back_to_its_origin():
    async with stage("ab") as there:
        encrypted_by(there, "b")
        there.fake.script("sk-b", a.raw(200, {"content-type": "application/json"}, b"{}"))
        got = await there.ask(going_on(thought()))
        assert (got.by, got.answer.facts["by"]) == ("b", "origin")


async def test_reasoning_whose_origin_is_limited_waits_or_is_refused_at_once():
    for policy, asked in (("wait", 2), ("fail", 1)):
        async with stage("ab", max_inline_wait_s=5.0, encrypted_reasoning=policy) as there:
            encrypted_by(there, "b")
            there.fake.script("sk-b", a.rate_limited(retry_after=0.6), a.raw(200, {}, b"{}"))
            got = await there.ask(going_on(thought()))
            assert (got.status, len(there.fake.log)) == (200 if policy == "wait" else 429, asked)
            if policy == "fail":
                assert got.error["message"].startswith(
                    "The encrypted reasoning in its input belongs to 'b'. b: rate limited"
                )
                assert "routing.encrypted_reasoning strip" in got.error["message"]


async def test_strip_leaves_reasoning_out_only_when_the_origin_cannot_serve(caplog):
    async with stage("ab", encrypted_reasoning="strip") as there:
        encrypted_by(there, "b")
        there.fake.script("sk-b", a.rate_limited(retry_after=20))
        got = await there.ask(going_on(thought()))
        assert (got.status, got.by, there.asked()) == (200, "a", "b a")
        sent = json.loads(there.fake.log[-1].body)
        assert [item.get("type", item.get("role")) for item in sent["input"]] == ["user", "user"]
        assert "left 1 items of encrypted reasoning out of a request" in caplog.text


async def test_what_cannot_be_read_is_left_out_once_if_it_may_be():
    for policy, status in (("wait", 400), ("fail", 400), ("strip", 200)):
        async with stage("a", encrypted_reasoning=policy) as there:
            there.fake.script("sk-a", a.invalid_encrypted_content(), a.ok())
            got = await there.ask(going_on(thought()))
            assert (got.status, got.by, len(there.fake.log)) == (status, "a", 2 if status == 200 else 1)


async def test_a_compaction_is_never_left_out():
    async with stage("a", encrypted_reasoning="strip") as there:
        there.fake.script("sk-a", a.invalid_encrypted_content())
        got = await there.ask(going_on({"type": "compaction", "encrypted_content": SECRET}))
        assert (got.status, len(there.fake.log)) == (400, 1)


async def test_reasoning_of_two_accounts_is_a_conflict_or_the_older_is_left_out():
    other = "gAAAAABo" + "y" * 60
    for policy, status in (("wait", 409), ("strip", 200)):
        async with stage("ab", encrypted_reasoning=policy) as there:
            encrypted_by(there, "b")
            encrypted_by(there, "a", other)
            there.fake.script("sk-a", a.raw(200, {}, b"{}"))
            got = await there.ask(going_on(thought(), thought(other)))
            assert got.status == status
            if policy == "strip":
                assert [
                    item["encrypted_content"]
                    for item in json.loads(there.fake.log[0].body)["input"]
                    if "encrypted_content" in item
                ] == [other]
            else:
                assert got.error["code"] == "account_conflict"


async def test_a_good_answer_teaches_whose_reasoning_it_is():
    async with stage("ab") as there:
        there.fake.script("sk-a", a.raw(200, {}, b"{}"))
        await there.ask(going_on(thought()))
        assert owner_of(there, digest(SECRET.encode())) == "id-a"


async def test_a_call_is_known_by_the_header_that_tells_of_it():
    async with stage("ab") as there:
        there.fake.script("sk-a", a.rate_limited(retry_after=20))
        there.fake.script("sk-b", a.raw(201, {"location": "/v1/realtime/calls/rtc_1"}, b"v=0"), a.raw(200, {}, b""))
        await there.ask(post("/v1/realtime/calls", b"v=0", "application/sdp"))
        got = await there.ask(post("/v1/realtime/calls/rtc_1/hangup", b""))
        assert (got.status, got.by, got.answer.facts["by"]) == (200, "b", "owner")


async def test_what_cannot_be_read_is_learned_by_404_even_when_it_is_changed():
    """An upload has no GET, and a 404 has changed nothing."""
    async with stage("ab") as there:
        missing = a.raw(
            404,
            {"content-type": "application/json"},
            b'{"error": {"message": "No upload found with id \'upload_1\'."}}',
        )
        there.fake.script("sk-a", missing)
        there.fake.script("sk-b", a.raw(200, {}, b"{}"))
        got = await there.ask(post("/v1/uploads/upload_1/complete", b'{"part_ids": ["part_1"]}'))
        assert (got.status, got.by, there.asked()) == (200, "b", "a b")
