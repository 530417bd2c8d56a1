"""The door is strict: who is let in, and in which words the others are refused."""

import pytest

from tests.testing.raw import CHAT, ask, request, say

from codex_manager.testing import FakeOpenAI


@pytest.mark.parametrize(
    ("key", "headers", "status", "code", "flag"),
    [
        ("sk-a", [], 200, None, None),
        ("sk-a", [("OpenAI-Organization", "org-a"), ("OpenAI-Project", "proj-a")], 200, None, None),
        ("sk-unknown-0123456789", [], 401, "invalid_api_key", None),
        (None, [], 401, None, None),
        (None, [("Authorization", "Basic c2s6")], 401, None, None),
        ("sk-a", [("Authorization", "Bearer sk-b")], 400, None, "duplicate_authorization"),
        ("sk-a", [("OpenAI-Organization", "org-b")], 401, "mismatched_organization", "mismatched_organization"),
        ("sk-a", [("openai-project", "proj-b")], 401, "mismatched_project", "mismatched_project"),
        ("sk-a", [("Cookie", "a=1; __cf_bm={cookie of sk-b}")], 200, None, "foreign_cookie"),
        ("sk-a", [("Cookie", "__cf_bm={cookie of sk-a}")], 200, None, None),
    ],
)
async def test_the_door(fake, key, headers, status, code, flag):
    cookies = {}
    for owner in ("sk-a", "sk-b"):
        cookie = (await ask(fake, "GET", "/v1/models", key=owner)).headers["set-cookie"]
        cookies[owner] = cookie.partition(";")[0].partition("=")[2]
    for owner, cookie in cookies.items():
        headers = [(name, value.replace(f"{{cookie of {owner}}}", cookie)) for name, value in headers]
    heard = await ask(fake, key=key, headers=headers)
    assert heard.status == status
    if status != 200:
        assert heard.error["code"] == code
    assert fake.log[-1].flags == ([flag] if flag else [])
    assert [seen.flags for seen in fake.violations()] == ([[flag]] if flag else [])


async def test_an_incorrect_key_is_quoted_with_stars(fake):
    heard = await ask(fake, key="sk-secret-secret-secret-1234")
    assert "Incorrect API key provided: sk-secre" in heard.error["message"]
    assert b"secret-secret" not in heard.data


async def test_a_good_answer_shows_who_served_it_and_no_part_of_the_key():
    async with FakeOpenAI() as fake:
        key = "sk-proj-canary-0123456789abcdef"
        account = fake.account(key, "org-x", "proj-x")
        for path, body in (("/v1/chat/completions", CHAT), ("/v1/responses", {"model": "gpt-5", "input": "x"})):
            heard = await ask(fake, path=path, body=body, key=key)
            assert heard.headers["openai-organization"] == "org-x"
            assert heard.headers["openai-project"] == "proj-x"
            assert account.marker.encode() in heard.body
            assert not any(key[start : start + 8].encode() in heard.data for start in range(len(key) - 8))


async def test_a_revoked_key_is_unknown(fake):
    assert (await ask(fake)).status == 200
    fake.revoke("sk-a")
    assert (await ask(fake)).error["code"] == "invalid_api_key"


async def test_a_model_outside_the_account_does_not_exist():
    async with FakeOpenAI() as fake:
        fake.account("sk-a", models=("gpt-4o*", "my-finetune"))
        assert (await ask(fake, body={**CHAT, "model": "gpt-4o-mini"})).status == 200
        heard = await ask(fake, body={**CHAT, "model": "o3"})
        assert (heard.status, heard.error["code"]) == (404, "model_not_found")
        listed = (await ask(fake, "GET", "/v1/models")).json
        assert {model["id"] for model in listed["data"]} == {
            "my-finetune",
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-4o-mini-tts",
            "gpt-4o-transcribe",
        }


async def test_a_model_of_nobodys_family_does_not_exist(fake):
    assert (await ask(fake, body={**CHAT, "model": "claude-5"})).error["code"] == "model_not_found"


async def test_a_script_for_an_unknown_key_is_a_mistake_of_the_test(fake):
    with pytest.raises(ValueError, match=r"call account\(\) first"):
        fake.script("sk-nobody")


async def test_a_request_that_is_no_http_is_refused_and_noted(fake):
    heard = await say(fake, request(headers=[("X-Nul", "a\0b")]))
    assert heard.status == 400
    assert len(fake.malformed_requests) == 1
    assert fake.log == []
