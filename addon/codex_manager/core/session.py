"""Which conversation a request belongs to, so that it can be kept where its prompt cache is.

The key is sha256(client ‖ model ‖ the first of these that is there): our own session header, `prompt_cache_key`, the session
headers of the harnesses (wire facts: codex and opencode), `metadata.session_id`, and else a fingerprint of instructions
and system messages, tool names and the whole first user message. Not `user` and not the first message alone: that is
usually the system prompt and would put a whole application on one account.

What a request says of its conversation costs next to nothing to read (`told_key`), so every strategy asks for it. The
rest needs the body parsed (`session_key`), which only `sticky` is worth.

A conversation's first home is found by rendezvous hashing: every account gets a number from the key and its own id, and
the highest is home. So parallel first requests agree, and two instances do without asking. What comes after that is
remembered (core.bindings).

Pure, and total: a body that cannot be read has no fingerprint.
"""

import hashlib
import json
import math

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from codex_manager.core.account import Account


__all__ = ["affinity", "closest", "session_key", "told_key"]

OWN_HEADER = "x-codex-manager-session"
HARNESS_HEADERS = ("session_id", "session-id", "thread-id", "conversation_id", "x-session-id", "x-session-affinity")
INSTRUCTIONS = {"system", "developer"}
MASK: Final = 2**64 - 1


def told_key(
    client: str, model: str | None, headers: Mapping[str, str], prompt_cache_key: str | None = None
) -> str | None:
    """The conversation's key if headers or `prompt_cache_key` name it; the same that `session_key` finds then."""
    told = headers.get(OWN_HEADER) or prompt_cache_key or _harness(headers)
    return _hashed(client, model, told) if told else None


def session_key(client: str, model: str | None, headers: Mapping[str, str], body: bytes) -> str | None:
    """The conversation's key, or None when the request shows none. `headers` have lower-case names."""
    told = headers.get(OWN_HEADER)
    document: Any = None
    if not told and b'"prompt_cache_key"' in body:
        document = _document(body)
        told = _text(document.get("prompt_cache_key"))
    if not told:
        told = _harness(headers)
    if not told:
        document = document if document is not None else _document(body)
        metadata = document.get("metadata")
        told = _text(metadata.get("session_id")) if isinstance(metadata, dict) else None
        told = told or _fingerprint(document)
    return _hashed(client, model, told) if told else None


def affinity(session: str, account_id: str, weight: float) -> float:
    """How strongly a conversation is drawn to an account: weighted rendezvous hashing (the -w/ln form)."""
    return _drawn(_mixed(_seed(session), _seed(account_id)), weight)


def closest(session: str, accounts: Sequence[Account]) -> int:
    """The place in the list of the account a conversation is drawn to most; the list is not empty."""
    number, weight = _seed(session), accounts[0].weight
    drawn: list[float] = [_mixed(number, _seed(account.id)) for account in accounts]
    if any(account.weight != weight for account in accounts):
        drawn = [_drawn(int(mixed), account.weight) for mixed, account in zip(drawn, accounts, strict=True)]
    return max(range(len(drawn)), key=drawn.__getitem__)


def _drawn(mixed: int, weight: float) -> float:
    unit = (mixed + 1) / (2**64 + 2)  # strictly between 0 and 1
    return -max(weight, 1e-9) / math.log(unit)


@lru_cache(maxsize=1024)
def _seed(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _mixed(one: int, other: int) -> int:
    """64 bits of both (the finalizer of SplitMix64); hashing the two names together takes five times as long."""
    mixed = (one ^ other) * 0xBF58476D1CE4E5B9 & MASK
    mixed = (mixed ^ mixed >> 31) * 0x94D049BB133111EB & MASK
    return mixed ^ mixed >> 29


def _harness(headers: Mapping[str, str]) -> str | None:
    return next((value for name in HARNESS_HEADERS if (value := headers.get(name))), None)


def _hashed(client: str, model: str | None, told: str) -> str:
    return hashlib.sha256("\0".join((client, model or "", told)).encode("utf-8", "surrogatepass")).hexdigest()


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _fingerprint(document: dict[str, Any]) -> str | None:
    messages = document.get("messages", document.get("input"))
    spoken: list[Any] = [document.get("instructions")]
    first_user: Any = messages if isinstance(messages, str) else None
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        if message.get("role") in INSTRUCTIONS:
            spoken.append(message.get("content"))
        elif message.get("role") == "user":
            first_user = message.get("content")
            break
    if first_user is None:
        return None
    tools = document.get("tools")
    names = [_tool_name(tool) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return hashlib.sha256(json.dumps([spoken, names, first_user]).encode()).hexdigest()


def _tool_name(tool: dict[str, Any]) -> str:
    function = tool.get("function")
    named = function if isinstance(function, dict) else tool
    return str(named.get("name") or named.get("type") or "")
