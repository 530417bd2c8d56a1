"""The text endpoints: chat completions, completions and responses, whole and streamed.

The text of an answer names the model and the request's digest, so that a test can tell whose answer it holds; who
served it is in `system_fingerprint` (chat) and `metadata.served_by` (responses). No part of a key is ever in it.
"""

import itertools

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codex_manager.testing.openai import errors, named
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import STAGES, Shelf, public
from codex_manager.testing.openai.sse import event_stream
from codex_manager.testing.openai.usage import chat_usage, completion_usage, input_tokens, response_usage, served_tier
from codex_manager.testing.reply import Reply, json_reply
from codex_manager.testing.step import Good


__all__ = [
    "MadeResponse",
    "chat",
    "compaction",
    "completion",
    "counted",
    "make_response",
    "pieces_of",
    "response",
    "response_events",
]


def text_of(facts: Facts, good: Good) -> str:
    return (
        good.text
        if good.text is not None
        else f"{facts.model} answers request {facts.digest(16)} of {facts.account.marker}."
    )


def pieces_of(text: str, count: int) -> list[str]:
    """The text in `count` pieces; more pieces than letters repeat the text."""
    text = text or " "
    while len(text) < count:
        text += f" {text}"
    edges = [round(number * len(text) / count) for number in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def chat(facts: Facts, good: Good) -> Reply:
    body = facts.json
    if not isinstance(body.get("messages"), list):
        return errors.missing_parameter("messages")
    text = text_of(facts, good)
    usage = chat_usage(facts, good, text)
    common = {
        "id": f"chatcmpl-{facts.digest()}",
        "created": facts.created,
        "model": body["model"],
        "service_tier": served_tier(body),
        "system_fingerprint": f"fp_{facts.account.marker}",
    }
    if not body.get("stream"):
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return json_reply({**common, "object": "chat.completion", "choices": [choice], "usage": usage})
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        made = {**common, "object": "chat.completion.chunk", "choices": [choice]}
        return {**made, "usage": None} if with_usage else made

    def events() -> Iterator[dict[str, Any]]:
        if good.error is None or good.error[2]:
            yield chunk({"role": "assistant", "content": "", "refusal": None})
        for number, piece in enumerate(pieces_of(text, good.chunks)):
            if good.error is not None and number == good.error[2]:
                code, message, _ = good.error
                yield {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
                return
            yield chunk({"content": piece})
        yield chunk({}, "stop")
        if with_usage:
            yield {**common, "object": "chat.completion.chunk", "choices": [], "usage": usage}

    return event_stream(events(), named=False, every_s=good.every_s, stamped=good.stamped, done=good.error is None)


def completion(facts: Facts, good: Good) -> Reply:
    body = facts.json
    if "prompt" not in body:
        return errors.missing_parameter("prompt")
    text = text_of(facts, good)
    common = {"id": f"cmpl-{facts.digest()}", "object": "text_completion", "created": facts.created, "model": body["model"],
              "system_fingerprint": f"fp_{facts.account.marker}"}  # fmt: skip
    usage = completion_usage(facts, good, text)
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    silent: dict[str, Any] = {"usage": None} if with_usage else {}

    def choice(piece: str, finish: str | None) -> dict[str, Any]:
        return {"text": piece, "index": 0, "logprobs": None, "finish_reason": finish}

    if not body.get("stream"):
        return json_reply({**common, "choices": [choice(text, "stop")], "usage": usage})

    def events() -> Iterator[dict[str, Any]]:
        for piece in pieces_of(text, good.chunks):
            yield {**common, "choices": [choice(piece, None)], **silent}
        yield {**common, "choices": [choice("", "stop")], **silent}
        if with_usage:
            yield {**common, "choices": [], "usage": usage}

    return event_stream(events(), named=False, every_s=good.every_s, stamped=good.stamped, done=True)


@dataclass(slots=True)
class MadeResponse:
    """A response that is complete, before it is told at once or event by event."""

    whole: dict[str, Any]
    item: dict[str, Any]
    text: str


def response(facts: Facts, good: Good, shelf: Shelf) -> Reply:
    made = make_response(facts, good, shelf)
    if isinstance(made, Reply):
        return made
    if facts.json.get("background") and not facts.json.get("stream"):
        return background(made, good, shelf, facts)
    if not facts.json.get("stream"):
        return json_reply(made.whole)
    return event_stream(response_events(made, good), named=True, every_s=good.every_s, stamped=good.stamped, done=False)


def background(made: MadeResponse, good: Good, shelf: Shelf, facts: Facts) -> Reply:
    """A response that is not there yet: it is queued, found in progress so often, and then complete with its usage."""
    if not made.whole["store"]:
        return errors.error_reply(400, "Background mode requires store=true.", code="invalid_value", param="store")
    unfinished = {**made.whole, "output": [], "usage": None}
    stages = [{**unfinished, "status": "in_progress"}] * good.pending + [made.whole]
    queued = {**unfinished, "status": "queued", STAGES: [lambda stage=stage: stage for stage in stages]}
    shelf.put("response", made.whole["id"], facts.account, queued)
    return json_reply(public(queued))


def compaction(facts: Facts, good: Good, shelf: Shelf) -> Reply:
    """`POST /v1/responses/compact`: a conversation made short, which uses tokens like an answer."""
    number, text = shelf.next_number(), text_of(facts, good)
    item = {"id": f"cmp_{facts.digest()}{number:08x}", "type": "compaction",
            "encrypted_content": named.encrypted(facts, shelf, number)}  # fmt: skip
    usage = response_usage(facts, good, text)
    return json_reply({"id": f"resp_{facts.digest()}{number:08x}", "object": "response.compaction", "created_at": facts.created,
                       "output": [item], "usage": usage})  # fmt: skip


def counted(facts: Facts, _good: Good) -> Reply:
    """`POST /v1/responses/input_tokens`: counts and runs no model."""
    return json_reply({"object": "response.input_tokens", "input_tokens": input_tokens(facts)})


def searches(facts: Facts, number: int) -> list[dict[str, Any]]:
    """A call of the built-in search, where the request insists on one."""
    choice = facts.json.get("tool_choice")
    if not isinstance(choice, dict) or not str(choice.get("type")).startswith("web_search"):
        return []
    action = {"type": "search", "query": f"request {facts.digest(8)}"}
    return [
        {"id": f"ws_{facts.digest()}{number:08x}", "type": "web_search_call", "status": "completed", "action": action}
    ]


def thoughts(facts: Facts, shelf: Shelf, number: int) -> list[dict[str, Any]]:
    """Reasoning the client is to bring back, where it asks for it."""
    if "reasoning.encrypted_content" not in (facts.json.get("include") or []):
        return []
    item = {"id": f"rs_{facts.digest()}{number:08x}", "type": "reasoning", "summary": []}
    return [item | {"encrypted_content": named.encrypted(facts, shelf, number)}]


def make_response(
    facts: Facts, good: Good, shelf: Shelf, *, known: frozenset[str] = frozenset()
) -> MadeResponse | Reply:
    """The response to a request, or the refusal it earned; `known` are ids a socket remembers although nothing stored them."""
    body = facts.json
    previous = body.get("previous_response_id")
    if previous and previous not in known and shelf.find("response", previous, facts.account) is None:
        return errors.error_reply(
            400,
            f"Previous response with id '{previous}' not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        )
    if (refused := named.refusal(facts, shelf)) is not None:
        return refused
    text = text_of(facts, good)
    number = shelf.next_number()
    item = {
        "id": f"msg_{facts.digest()}{number:08x}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }
    whole: dict[str, Any] = {
        "id": f"resp_{facts.digest()}{number:08x}",
        "object": "response",
        "created_at": facts.created,
        "status": "completed",
        "background": bool(body.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": [*thoughts(facts, shelf, number), *searches(facts, number), item],
        "parallel_tool_calls": True,
        "previous_response_id": previous,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": served_tier(body),
        "store": body.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": response_usage(facts, good, text),
        "metadata": {**(body.get("metadata") or {}), "served_by": facts.account.marker},
    }
    if whole["store"]:
        shelf.put("response", whole["id"], facts.account, whole)
        named.keep_items(facts, shelf, whole["output"])
    return MadeResponse(whole, item, text)


def response_events(made: MadeResponse, good: Good) -> Iterator[dict[str, Any]]:
    """The events of one streamed response, numbered in order."""
    whole, item, text = made.whole, made.item, made.text
    number = -1

    def event(kind: str, **fields: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        return {"type": kind, "sequence_number": number, **fields}

    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    before = whole["output"][: whole["output"].index(item)] if item in whole["output"] else []
    index = len(before)
    at = {"item_id": item["id"], "output_index": index, "content_index": 0}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    if good.error is None or good.error[2]:
        for place, call in enumerate(before):
            yield event("response.output_item.added", output_index=place, item={**call, "status": "in_progress"})
            yield event("response.output_item.done", output_index=place, item=call)
        yield event(
            "response.output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []}
        )
        yield event(
            "response.content_part.added",
            **at,
            part={"type": "output_text", "text": "", "annotations": [], "logprobs": []},
        )
    for count, piece in enumerate(pieces_of(text, good.chunks)):
        if good.error is not None and count == good.error[2]:
            code, message, _ = good.error
            yield event(
                "response.failed", response={**begun, "status": "failed", "error": {"code": code, "message": message}}
            )
            return
        yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
    yield event("response.output_text.done", **at, text=text, logprobs=[])
    yield event("response.content_part.done", **at, part=item["content"][0])
    yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=whole)
