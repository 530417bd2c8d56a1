"""The items of the Responses and Realtime APIs: messages, reasoning, calls of tools and what came of them.

There are more than forty kinds and new ones each season; they are read by how they are made (`…_call`, `…_output`, who
calls what with which), not by a list. Law: what is not known is shown by its kind, never left out in silence.
"""

from typing import Any, Final

from codex_manager.core.conversation.content import arguments, blocks_of
from codex_manager.core.conversation.media import bytes_of, opaque
from codex_manager.core.conversation.model import Block, Turn
from codex_manager.core.conversation.values import compact, label, rows, short, text


__all__ = ["turn_of_item", "turns_of_items"]

_GIVEN: Final = (
    "arguments",
    "input",
    "action",
    "actions",
    "code",
    "queries",
    "operation",
    "commands",
    "query",
    "prompt",
)
"""Where a call says what it is for, the first of them that is there."""
_CAME: Final = ("output", "outputs", "results", "result")
_MOST_OUTPUTS: Final = 20


def turns_of_items(items: Any) -> list[Turn]:
    """The `input` of a request or the `output` of a response; a text alone is what the user says."""
    if isinstance(items, str):
        return [Turn("user", (Block("text", text(items)),))] if items else []
    return [turn_of_item(item) for item in rows(items)]


def turn_of_item(item: dict[str, Any]) -> Turn:
    """One item."""
    kind = label(item.get("type")) or ("message" if "role" in item else "")
    note = label(item.get("status")) if item.get("status") in {"in_progress", "incomplete", "failed"} else ""
    if kind == "message":
        return Turn(label(item.get("role")) or "message", tuple(blocks_of(item.get("content"))), note)
    if kind == "reasoning":
        return Turn("assistant", tuple(_reasoning(item)), note)
    if kind == "image_generation_call":
        drawn = item.get("result")
        made = [bytes_of("image", drawn, label(item.get("output_format")))] if isinstance(drawn, str) and drawn else []
        prompt = item.get("revised_prompt")
        return Turn("assistant", (Block("call", text(prompt), "image_generation", label(item.get("id"))), *made), note)
    if kind.endswith("_output") or kind == "mcp_approval_response":
        return Turn("tool", (_result(item, kind),), note)
    if kind.endswith("_call") or kind == "mcp_approval_request":
        return Turn("assistant", tuple(_call(item, kind)), note)
    if kind == "mcp_list_tools":
        names = ", ".join(filter(None, (label(tool.get("name")) for tool in rows(item.get("tools"))[:100])))
        return Turn(
            "tool",
            (Block("note", f"[tools of {label(item.get('server_label')) or 'a server'}: {names or 'none'}]"),),
            note,
        )
    if kind in {"compaction", "compaction_summary"}:
        return Turn("assistant", (opaque("what was said before, made short", item.get("encrypted_content")),), note)
    if kind == "item_reference":
        return Turn("item", (Block("note", f"[{label(item.get('id'))}, which OpenAI has kept]"),), note)
    return Turn(kind or "item", (Block("note", compact({k: v for k, v in item.items() if k != "type"})),), note)


def _reasoning(item: dict[str, Any]) -> list[Block]:
    found = [
        Block("reasoning", text(part.get("text")))
        for part in [*rows(item.get("summary")), *rows(item.get("content"))]
        if part.get("text")
    ]
    if item.get("encrypted_content"):
        found.append(opaque("reasoning", item["encrypted_content"]))
    return found or [Block("note", "[reasoning, of which nothing is told]")]


def _call(item: dict[str, Any], kind: str) -> list[Block]:
    name = label(item.get("name")) or kind.removesuffix("_call")
    if server := label(item.get("server_label")):
        name = f"{server}.{name}"
    ref = label(item.get("call_id") or item.get("id"))
    given = next((item[key] for key in _GIVEN if item.get(key) is not None), None)
    blocks = [Block("call", arguments(given), name, ref)]
    if isinstance(error := item.get("error"), str | dict) and error:
        blocks.append(Block("result", f"error: {error if isinstance(error, str) else compact(error)}", ref=ref))
    came = next((item[key] for key in _CAME if item.get(key)), None)
    if came is not None:
        blocks.append(Block("result", _words(came), ref=ref))
    return blocks


def _result(item: dict[str, Any], kind: str) -> Block:
    ref = label(item.get("call_id") or item.get("approval_request_id") or item.get("id"))
    if kind == "mcp_approval_response":
        return Block("result", "approved" if item.get("approve") is True else "not approved", ref=ref)
    return Block("result", _words(item.get("output")), ref=ref)


def _words(came: Any) -> str:
    """What a tool gave back: a text, parts like a message's, or anything else as JSON."""
    if isinstance(came, str):
        return text(came)
    parts = [came] if isinstance(came, dict) else rows(came)[:_MOST_OUTPUTS]
    said = []
    for part in parts:
        kind = label(part.get("type"))
        if kind in {"logs", "stdout"} and isinstance(part.get("logs"), str):
            said.append(text(part["logs"]))
        elif kind in _PARTS:
            said += [block.text for block in blocks_of([part])]
        elif isinstance(part.get("stdout"), str):
            said.append(text(part["stdout"]))
            said += [text(part["stderr"])] if part.get("stderr") else []
        else:
            said.append(_file(part) or compact(part))
    if not parts and isinstance(came, list):
        return compact(came)
    more = len(rows(came)) - _MOST_OUTPUTS if isinstance(came, list) else 0
    return "\n".join([*said, *([f"… ({more} more)"] if more > 0 else [])])


_PARTS: Final = frozenset(
    {"input_text", "output_text", "text", "input_image", "computer_screenshot", "input_file", "image"}
)


def _file(part: dict[str, Any]) -> str:
    """A passage that a search in files found."""
    name = label(part.get("filename") or part.get("file_id"))
    if not name:
        return ""
    said = part.get("text") or " ".join(label(each.get("text")) for each in rows(part.get("content")))
    score = label(part.get("score"))
    return f"{name}{f' (score {score})' if score else ''}: {short(text(said), 300)}"
