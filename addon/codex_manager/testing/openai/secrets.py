"""Ephemeral client secrets of Realtime: made with an account's key, good for that account alone."""

from typing import Any

from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import Shelf
from codex_manager.testing.reply import Reply, json_reply
from codex_manager.testing.step import Good


__all__ = ["client_secret", "session"]

LIFE_S = 600  # OpenAI's default for `expires_after`


def _made(facts: Facts, shelf: Shelf) -> dict[str, Any]:
    value = f"ek_{facts.digest(24)}{shelf.next_number():08x}"
    shelf.put("client_secret", value, facts.account, facts.account.key)
    return {"value": value, "expires_at": facts.created + LIFE_S}


def client_secret(facts: Facts, _good: Good, shelf: Shelf) -> Reply:
    """`POST /v1/realtime/client_secrets`."""
    session = (facts.json or {}).get("session") or {"type": "realtime"}
    return json_reply({**_made(facts, shelf), "session": {"object": "realtime.session", "id": "sess_new", **session}})


def session(facts: Facts, _good: Good, shelf: Shelf) -> Reply:
    """`POST /v1/realtime/sessions`, the older form."""
    body = {"object": "realtime.session", "id": "sess_old", **(facts.json or {})}
    return json_reply({**body, "client_secret": _made(facts, shelf)})
