"""Bodies as the API sends them, shaped after its specification."""

import json

from typing import Any


def sse(*events, named=False, done=False):
    """Server-sent events."""
    lines = []
    for event in events:
        lines += [f"event: {event['type']}"] if named else []
        lines += [f"data: {json.dumps(event)}", ""]
    lines += ["data: [DONE]", ""] if done else []
    return "\n".join([*lines, ""]).encode()


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [choice],
        **more,
    }


CHAT: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "temperature": 0.2,
    "stream": True,
    "tools": [{"type": "function", "function": {"name": "get_weather"}}, {"type": "custom", "custom": {"name": "run"}}],
    "messages": [
        {"role": "system", "content": "You are terse.\n\nBe kind."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64," + "iVBO" * 1000, "detail": "low"},
                },
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png?sig=SECRET"}},
                {"type": "input_audio", "input_audio": {"data": "UklG" * 4000, "format": "wav"}},
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64," + "JVBE" * 10},
                },
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "22 °C"},
    ],
}

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-5-2025-08-07",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "output": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "**Look it up**"}],
            "encrypted_content": "gAAA" * 225,
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_9",
            "name": "get_weather",
            "arguments": '{"city":"Paris","unit":"celsius"}',
            "status": "completed",
        },
    ],
    "usage": {
        "input_tokens": 1234,
        "input_tokens_details": {"cached_tokens": 1000},
        "output_tokens": 340,
        "output_tokens_details": {"reasoning_tokens": 120},
        "total_tokens": 1574,
    },
}
BEGUN = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
THOUGHT, SAID, CALLED = RESPONSE["output"]
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": BEGUN},
    {"type": "response.output_item.added", "output_index": 0, "item": {**THOUGHT, "summary": []}},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "**Look "},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "it up**"},
    {"type": "response.output_item.done", "output_index": 0, "item": THOUGHT},
    {"type": "response.output_item.added", "output_index": 1, "item": {**SAID, "content": []}},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Let me "},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "look."},
    {"type": "response.output_item.done", "output_index": 1, "item": SAID},
    {"type": "response.output_item.added", "output_index": 2, "item": {**CALLED, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"city":'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '"Paris"'},
    {"type": "response.completed", "response": RESPONSE},
]

ASKED: dict[str, Any] = {
    "model": "gpt-5",
    "stream": True,
    "store": False,
    "instructions": "You are Codex.",
    "reasoning": {"effort": "high", "summary": "auto"},
    "tools": [
        {"type": "function", "name": "get_weather"},
        {"type": "web_search"},
        {"type": "mcp", "server_label": "wiki"},
    ],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "call_id": "call_0", "name": "shell", "arguments": '{"command":["ls"]}'},
        {"type": "function_call_output", "call_id": "call_0", "output": "README.md"},
    ],
}
