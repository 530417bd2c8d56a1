"""Changes one value in YAML text and leaves every other character as it was.

A round trip through a YAML library keeps comments but moves and re-indents them (ruamel.yaml puts a new last key below
the comment of the next section), so the text itself is cut at the marks the parser gives. Pure.

Law: the outcome is parsed again; unless it says exactly what was wanted, nothing is returned and the owner is told to
edit by hand. Knows sections and keys, not what they mean.
"""

import json
import math
import re

from decimal import Decimal
from typing import Any

import yaml

from codex_manager.config import document
from codex_manager.config.errors import ConfigError


__all__ = ["as_yaml", "drop", "put"]

_PLAIN = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./:@+~-]*")


def put(text: str, name: str, section: str, key: str, value: Any) -> str:
    """The text with `section.key` set to a value.

    Raises:
        ConfigError: the text is not one YAML mapping of sections, or is laid out too unusually to be cut.
    """
    wanted = _values(text, name)
    wanted[section] = {**(wanted.get(section) or {}), key: value}
    return _checked(_put(text, section, key, as_yaml(value)), name, wanted)


def drop(text: str, name: str, section: str, key: str) -> str:
    """The text without `section.key`; the same text if it is not there.

    Raises:
        ConfigError: as `put`.
    """
    wanted = _values(text, name)
    if not isinstance(wanted.get(section), dict) or key not in wanted[section]:
        return text
    del wanted[section][key]
    return _checked(_drop(text, section, key), name, wanted)


def as_yaml(value: Any) -> str:
    """A value on one line, fit for block and flow style alike."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_yaml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{as_yaml(key)}: {as_yaml(item)}' for key, item in value.items())}}}"
    if isinstance(value, float):  # YAML takes 1e-05 for a word
        return format(Decimal(str(value)), "f") if math.isfinite(value) else str(value)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and not value.endswith(":") and yaml.safe_load(value) == value
        return value if plain else json.dumps(value, ensure_ascii=not value.isprintable())
    return str(value)


def _values(text: str, name: str) -> dict[str, Any]:
    values = document.parse(text, name).values
    for section, keys in values.items():
        if not isinstance(keys, dict):
            raise ConfigError(f"{name}: {section} holds a value where its settings should be", hint=_BY_HAND)
    return values


_BY_HAND = "change it by hand: codex-manager config edit"


def _checked(text: str, name: str, wanted: dict[str, Any]) -> str:
    try:
        found = document.parse(text, name).values
    except ConfigError:
        found = None
    if found != wanted:
        raise ConfigError(f"{name} is laid out in a way that cannot be changed automatically", hint=_BY_HAND)
    return text


def _put(text: str, section: str, key: str, value: str) -> str:
    root = _root(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    entry = f"{as_yaml(key)}: {value}"  # names of models may need quotes
    pair = _pair(root, section)
    if pair is None:
        if root is not None and root.flow_style:
            return _into_flow(text, root, f"{section}: {{{entry}}}")
        start = text if not text or text.endswith("\n") else text + newline
        return f"{start}{section}:{newline}  {entry}{newline}"
    section_key, keys = pair
    if not isinstance(keys, yaml.MappingNode):  # `section:` or `section: null`
        if _index(keys) == _end(keys) and not _root_is_flow(root):
            at = _placeholder(text, section_key, key) or _line_end(text, _end(section_key))
            return f"{text[:at]}{newline}  {entry}{text[at:]}"
        return f"{text[: _end(section_key)]}: {{{entry}}}{text[_end(keys) :]}"
    if (present := _pair(keys, key)) is not None:
        key_node, value_node = present
        if (
            isinstance(value_node, yaml.ScalarNode)
            and value_node.style not in {"|", ">"}
            and _end(value_node) > _index(value_node)
        ):
            return text[: _index(value_node)] + value + text[_end(value_node) :]
        return f"{text[: _end(key_node)]}: {value}{text[_end(value_node) :]}"
    if keys.flow_style:
        return _into_flow(text, keys, entry)
    first, last = keys.value[0][0], keys.value[-1][1]
    at = _placeholder(text, section_key, key) or _line_end(text, max(_end(last), _end(keys.value[-1][0])))
    return f"{text[:at]}{newline}{' ' * first.start_mark.column}{entry}{text[at:]}"


def _placeholder(text: str, section_key: yaml.Node, key: str) -> int | None:
    """The end of the line that holds this setting commented out (our own template is made of such), if there is one."""
    start = _line_end(text, _end(section_key))
    section = re.split(r"(?m)^(?=[^\s#])", text[start:], maxsplit=1)[0]  # up to the next line that is not indented
    found = re.search(rf"(?m)^[ ]+#[ ]*{re.escape(key)}:", section)
    return _line_end(text, start + found.end()) if found else None


def _drop(text: str, section: str, key: str) -> str:
    root = _root(text)
    pair = _pair(root, section)
    assert pair is not None
    keys = pair[1]
    assert isinstance(keys, yaml.MappingNode)
    position = next(index for index, (node, _) in enumerate(keys.value) if node.value == key)
    key_node, value_node = keys.value[position]
    if not keys.flow_style:
        start = text.rfind("\n", 0, _index(key_node)) + 1
        end = _line_end(text, max(_end(value_node), _end(key_node)))
        return text[:start] + text[end:].removeprefix("\r").removeprefix("\n")
    if position:
        return text[: _end(keys.value[position - 1][1])] + text[_end(value_node) :]
    if len(keys.value) > 1:
        return text[: _index(key_node)] + text[_index(keys.value[1][0]) :]
    return text[: _index(key_node)] + text[_end(value_node) :]


def _root(text: str) -> yaml.MappingNode | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return root if isinstance(root, yaml.MappingNode) else None


def _root_is_flow(root: yaml.MappingNode | None) -> bool:
    """Whether the whole document is written as `{…}`."""
    return root is not None and bool(root.flow_style)


def _pair(node: yaml.MappingNode | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((k, v) for k, v in node.value if k.value == key), None) if node is not None else None


def _into_flow(text: str, node: yaml.MappingNode, entry: str) -> str:
    if node.value:
        at = _end(node.value[-1][1])
        return f"{text[:at]}, {entry}{text[at:]}"
    at = _index(node) + 1
    return text[:at] + entry + text[at:]


def _index(node: yaml.Node) -> int:
    assert node.start_mark is not None
    return node.start_mark.index


def _end(node: yaml.Node) -> int:
    """Where the node's own text ends; the parser's mark of a block collection lies beyond the comments that follow."""
    assert node.end_mark is not None
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


def _line_end(text: str, index: int) -> int:
    if index and text[index - 1] == "\n":  # a block scalar ends after its line break
        index -= 1
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    return end - 1 if end and text[end - 1 : end] == "\r" else end
