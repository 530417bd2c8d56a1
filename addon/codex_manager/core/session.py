"""Which conversation a request belongs to, so that `sticky` can keep it where its prompt cache is.

The key is sha256(client ‖ model ‖ the first of these that is there): our own session header, `prompt_cache_key`, the session
headers of the harnesses (wire facts: codex and opencode), `metadata.session_id`, and else a fingerprint of instructions
and system messages, tool names and the whole first user message. Not `user` and not the first message alone: that is
usually the system prompt and would put a whole application on one account.

Home is found by rendezvous hashing: every account gets a number from the key and its own id, the highest is home, the
second is where the conversation goes while home is out. So a detour does not scatter a conversation and ends by itself,
two instances agree without asking, and nothing has to be remembered.

Pure, and total: a body that cannot be read has no fingerprint.
"""

import hashlib
import json
import math

from collections.abc import Mapping
from typing import Any


__all__ = ["affinity", "session_key"]

OWN_HEADER = "x-codex-manager-session"
HARNESS_HEADERS = ("session_id", "session-id", "thread-id", "conversation_id", "x-session-id")
INSTRUCTIONS = {"system", "developer"}


def session_key(client: str, model: str | None, headers: Mapping[str, str], body: bytes) -> str | None:
    """The conversation's key, or None when the request shows none. `headers` have lower-case names."""
    told = headers.get(OWN_HEADER)
    document: Any = None
    if not told and b'"prompt_cache_key"' in body:
        document = _document(body)
        told = _text(document.get("prompt_cache_key"))
    if not told:
        told = next((value for name in HARNESS_HEADERS if (value := headers.get(name))), None)
    if not told:
        document = document if document is not None else _document(body)
        metadata = document.get("metadata")
        told = _text(metadata.get("session_id")) if isinstance(metadata, dict) else None
        told = told or _fingerprint(document)
    if not told:
        return None
    return hashlib.sha256("\0".join((client, model or "", told)).encode("utf-8", "surrogatepass")).hexdigest()


def affinity(session: str, account_id: str, weight: float) -> float:
    """How strongly a conversation is drawn to an account: weighted rendezvous hashing (the -w/ln form)."""
    digest = hashlib.blake2b(f"{session}\0{account_id}".encode(), digest_size=8).digest()
    unit = (int.from_bytes(digest) + 1) / (2**64 + 2)  # strictly between 0 and 1
    return -max(weight, 1e-9) / math.log(unit)


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
