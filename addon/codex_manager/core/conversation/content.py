"""The content of a message, whichever API it is of: a text, or parts that are text, pictures, sound, files, refusals.

Law: a part of a kind that is not known is shown by its kind, never left out in silence.
"""

import json

from typing import Any, Final

from codex_manager.core.conversation.media import address, bytes_of, media
from codex_manager.core.conversation.model import Block
from codex_manager.core.conversation.values import LONGEST, compact, label, mapping, pretty, rows, short, text


__all__ = ["arguments", "as_json", "blocks_of", "settings_of", "tools_of"]

_TEXTS: Final = frozenset({"text", "input_text", "output_text", "summary_text", ""})


def blocks_of(content: Any) -> list[Block]:
    """What a `content` says."""
    if isinstance(content, str):
        return [Block("text", text(content))] if content else []
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        content = [{"type": "text", "text": each} if isinstance(each, str) else each for each in content]
    found: list[Block] = []
    for part in rows(content):
        found += _part(part)
    return found


def _part(part: dict[str, Any]) -> list[Block]:
    kind = label(part.get("type"))
    if kind in _TEXTS and "text" in part:
        said = part["text"]
        words = said.get("value") if isinstance(said, dict) else said
        return [Block("text", text(words)), *_sources(part.get("annotations"))]
    if kind == "refusal":
        return [Block("refusal", text(part.get("refusal")))]
    if kind == "reasoning_text":
        return [Block("reasoning", text(part.get("text")))]
    if kind in {"image_url", "input_image", "image_file", "computer_screenshot", "image"}:
        return [_image(part)]
    if kind in {"input_audio", "audio", "output_audio"}:
        return _sound(part)
    if kind in {"file", "input_file"}:
        return [_file(mapping(part.get("file")) or part)]
    return [Block("note", f"[{kind or 'part'}: {short(compact(part), 200)}]")]


def _image(part: dict[str, Any]) -> Block:
    given = part.get("image_url")
    inner = mapping(given)
    detail = label(inner.get("detail") or part.get("detail"))
    words = (f"detail {detail}",) if detail and detail != "auto" else ()
    url = inner.get("url") if inner else given
    if isinstance(url, str):
        return address("image", url, *words)
    name = label(part.get("file_id") or mapping(part.get("image_file")).get("file_id"))
    return media("image", f"file {name}" if name else "", *words)


def _sound(part: dict[str, Any]) -> list[Block]:
    inner = mapping(part.get("input_audio")) or mapping(part.get("audio")) or part
    data = inner.get("data", inner.get("audio"))
    found = [bytes_of("audio", data, label(inner.get("format")))] if isinstance(data, str) else [media("audio")]
    said = part.get("transcript")
    return [*found, Block("text", text(said))] if isinstance(said, str) and said else found


def _file(file: dict[str, Any]) -> Block:
    name, known = label(file.get("filename")), label(file.get("file_id"))
    words = [name, f"file {known}" if known else ""]
    if isinstance(file.get("file_data"), str):
        words.append(bytes_of("", file["file_data"]).text[3:-1])
    elif isinstance(file.get("file_url"), str):
        words.append(address("", file["file_url"]).text[3:-1])
    return media("file", *words)


def _sources(annotations: Any) -> list[Block]:
    """Where the words come from, which searches and files say."""
    found = []
    for each in rows(annotations)[:50]:
        cited = mapping(each.get("url_citation")) or mapping(each.get("file_citation")) or each
        place = cited.get("url")
        name = label(cited.get("title") or cited.get("filename") or cited.get("file_id"))
        where = address("", place).text[3:-1] if isinstance(place, str) else ""
        said = ", ".join(word for word in (name, where) if word)
        if said:
            found.append(Block("note", f"[source: {said}]"))
    return found


def arguments(given: Any) -> str:
    """What a tool is called with: the model writes JSON, which may be cut, or none at all."""
    if not isinstance(given, str):
        return "" if given is None else compact(given)
    return as_json(given) or text(given)


def as_json(said: str) -> str:
    """A text that is a JSON object or array, laid out; empty for any other."""
    if said[:64].lstrip()[:1] not in {"{", "["} or len(said) > LONGEST:
        return ""
    try:
        return pretty(json.loads(said))
    except (ValueError, RecursionError):
        return ""


def tools_of(tools: Any) -> list[str]:
    """The names of the tools that are offered."""
    found = []
    for tool in rows(tools):
        kind = label(tool.get("type"))
        inner = mapping(tool.get(kind)) or tool
        name = label(inner.get("name") or inner.get("server_label"))
        found.append(name if name and kind in {"function", "custom", ""} else " ".join(w for w in (kind, name) if w))
        if kind == "namespace":
            found += [f"{name}.{each}" for each in tools_of(tool.get("tools"))]
    return [each for each in found if each]


def settings_of(body: dict[str, Any]) -> list[str]:
    """What a request sets, in the API's own words, where it is not the default nor the conversation itself."""
    found = []
    for name in _SETTINGS:
        value = body.get(name)
        if value is True:
            found.append(name)
        elif value is False and name in _ON:
            found.append(f"{name} false")
        elif isinstance(value, str | int | float) and value is not False:
            found.append(f"{name} {label(value)}")
        elif isinstance(value, list) and (words := ", ".join(filter(None, map(label, value[:10])))):
            found.append(f"{name} {words}")
        elif isinstance(value, dict) and (said := _setting(value)):
            found.append(f"{name} {said}")
    return found


_ON: Final = frozenset({"store", "parallel_tool_calls", "generate"})
"""What is on unless a request says otherwise."""
_SETTINGS: Final = (
    "stream", "background", "generate", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens", "max_output_tokens",
    "max_tool_calls", "reasoning_effort", "reasoning", "verbosity", "response_format", "text", "modalities",
    "output_modalities", "audio", "tool_choice", "parallel_tool_calls", "stop", "seed", "logprobs", "top_logprobs",
    "presence_penalty", "frequency_penalty", "truncation", "include", "service_tier", "store", "previous_response_id",
    "conversation", "prompt_cache_key", "dimensions", "encoding_format", "quality", "size", "background",
    "output_format", "voice", "speed", "language", "timestamp_granularities", "turn_detection",
)  # fmt: skip


def _setting(value: dict[str, Any]) -> str:
    """`json_schema weather` of a format, `effort high, summary auto` of reasoning."""
    value = mapping(value.get("format")) or value
    kind, name = label(value.get("type")), label(value.get("name") or mapping(value.get("json_schema")).get("name"))
    if kind:
        return " ".join(word for word in (kind, name) if word)
    return ", ".join(f"{key} {said}" for key, each in list(value.items())[:8] if (said := label(each)))
