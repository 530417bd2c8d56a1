"""Batches: a file of requests that is answered later, by a file of answers, each with its usage, and the sum of them.

A batch is found in progress as often as its step says (`ok(pending=2)`), then complete. Lines that are no requests fail.
"""

import json

from typing import Any

from codex_manager.testing.openai import errors
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import STAGES, Shelf
from codex_manager.testing.openai.usage import batch_usage, tokens
from codex_manager.testing.reply import Reply
from codex_manager.testing.step import Good


__all__ = ["new_batch"]

SAID = 20
"""Output tokens of each answer in a batch."""


def new_batch(facts: Facts, good: Good, shelf: Shelf) -> dict[str, Any] | Reply:
    """What `POST /v1/batches` puts on the shelf."""
    body = facts.json or {}
    source = body.get("input_file_id")
    if not isinstance(source, str):
        return errors.missing_parameter("input_file_id")
    file = shelf.find("file", source, facts.account)
    if file is None:
        return errors.error_reply(400, f"Invalid file '{source}': it does not exist.", param="input_file_id")
    asked = [line for line in file["_content"].splitlines() if line.strip()]
    requests = [request for line in asked if (request := _request(line)) is not None]
    number = shelf.next_number()
    model = next((request["body"].get("model") for request in requests), None)
    counts = {"total": len(asked), "completed": 0, "failed": 0}

    def complete() -> dict[str, Any]:
        output = _answers(facts, requests, number)
        name = f"file-{facts.digest(18)}{number:06x}-out"
        shelf.put("file", name, facts.account, {
            "id": name, "object": "file", "bytes": len(output), "created_at": facts.created, "filename": "output.jsonl",
            "purpose": "batch_output", "status": "processed", "_content": output,
        })  # fmt: skip
        read = sum(_read(request) for request in requests)
        return {
            "status": "completed", "output_file_id": name, "in_progress_at": facts.created, "completed_at": facts.created,
            "request_counts": {**counts, "completed": len(requests), "failed": len(asked) - len(requests)},
            "usage": batch_usage(good, read=read, said=SAID * len(requests)),
        }  # fmt: skip

    return {
        "id": f"batch_{facts.digest(24)}{number:08x}",
        "object": "batch",
        "endpoint": body.get("endpoint"),
        "model": model,
        "errors": None,
        "input_file_id": source,
        "completion_window": body.get("completion_window", "24h"),
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": facts.created,
        "request_counts": counts,
        "metadata": body.get("metadata"),
        STAGES: [*[lambda: {"status": "in_progress"}] * good.pending, complete],
    }


def _request(line: bytes) -> dict[str, Any] | None:
    try:
        request = json.loads(line)
    except ValueError:
        return None
    sound = isinstance(request, dict) and isinstance(request.get("body"), dict)
    return request if sound else None


def _read(request: dict[str, Any]) -> int:
    return tokens(len(json.dumps(request["body"])))


def _answers(facts: Facts, requests: list[dict[str, Any]], number: int) -> bytes:
    lines = []
    for index, request in enumerate(requests):
        read = _read(request)
        usage = {"prompt_tokens": read, "completion_tokens": SAID, "total_tokens": read + SAID}
        message = {"role": "assistant", "content": f"line {index} of {facts.account.marker}", "refusal": None}
        answer = {"id": f"chatcmpl-{facts.digest()}{index:04x}", "object": "chat.completion", "created": facts.created,
                  "model": request["body"].get("model"), "usage": usage,
                  "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]}  # fmt: skip
        response = {"status_code": 200, "request_id": f"req_{number:08x}{index:04x}", "body": answer}
        lines.append({"id": f"batch_req_{number:08x}{index:04x}", "custom_id": request.get("custom_id"), "response": response, "error": None})  # fmt: skip
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()
