"""A YAML file as settings: its values, and the line each one stands on.

Knows YAML, not what the settings mean. Law: the file is read once, as data (safe tags only), and whatever is wrong
with it is one sentence with a line; nothing of its text is repeated, because it may be a key.
"""

import os
import re
import stat

from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from codex_manager.config.errors import ConfigError


__all__ = ["Document", "parse", "read", "read_text"]

_MAX_BYTES = 1 << 20  # a configuration is 2 KiB; more than 1 MiB is some other file


@dataclass(frozen=True, slots=True)
class Document:
    """Values by section and key, and their lines (first line 1). `name` is what errors call the file."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)

    def where(self, *key: str) -> str:
        """`config.yaml line 7`, or the name alone when the key is not in the file."""
        line = self.lines.get(key)
        return f"{self.name} line {line}" if line else self.name


def read_text(path: Path) -> str | None:
    """The file's text; None when there is no such file.

    Raises:
        ConfigError: it is not a readable UTF-8 text file of sensible size.
    """
    try:
        # O_NONBLOCK: a named pipe in its place must not hang us; no effect on files
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it is a folder" if path.is_dir() else (error.strerror or str(error)).lower()
        raise ConfigError(f"{path} cannot be read: {reason}", hint="make it a file that you may read") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ConfigError(f"{path} cannot be read: it is {kind}", hint="make it a file that you may read")
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path} is larger than 1 MiB, which no configuration is", hint="is it some other file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path.name} line {line}: this is not UTF-8 text", hint=f"save {path} as UTF-8") from None


def read(path: Path) -> Document:
    """The file as a document; a missing or empty file has no values.

    Raises:
        ConfigError: as `read_text` and `parse`.
    """
    return parse(read_text(path) or "", path.name)


def parse(text: str, name: str) -> Document:
    """Text as a document.

    Raises:
        ConfigError: it is not one YAML mapping of sections.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        _refuse_aliases(text, name)
        root = loader.get_single_node()
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == "tag:yaml.org,2002:null"):
            return Document(name)
        return _document(loader, root, name)
    except yaml.MarkedYAMLError as error:
        hint = 'put quotes around a value that starts with [, such as "[::1]:8080"' if _bracket(text, error) else _CURE
        raise ConfigError(_syntax(text, error, name), hint=hint) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name} line {line}: a control character stands here", hint=_CURE) from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply to be a configuration", hint=_CURE) from None
    finally:
        if loader is not None:
            loader.dispose()


_CURE = "correct it (`codex-manager config edit`), or start anew with `codex-manager config reset`"


def _refuse_aliases(text: str, name: str) -> None:
    """Aliases can make a small file enormous and serve nothing here."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ConfigError(
                f"{name} line {line}: a value must not start with & or * (YAML anchors are not used here)",
                hint="put the value in quotes",
            )


def _document(loader: yaml.SafeLoader, root: yaml.Node, name: str) -> Document:
    document = Document(name)
    for section, node, line in _pairs(loader, root, document, ()):
        document.lines[(section,)] = line
        if isinstance(node, yaml.MappingNode):
            document.values[section] = {}
            for key, value, key_line in _pairs(loader, node, document, (section,)):
                document.lines[(section, key)] = key_line
                document.values[section][key] = _value(loader, value, name)
        else:
            value = _value(loader, node, name)
            document.values[section] = {} if value is None else value  # a section without keys is all defaults
    return document


def _pairs(
    loader: yaml.SafeLoader, node: yaml.Node, document: Document, above: tuple[str, ...]
) -> list[tuple[str, yaml.Node, int]]:
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{document.name} line {node.start_mark.line + 1}: settings stand here as `section:` with indented"
            " `key: value` lines below",
            hint="`codex-manager config show` prints a complete one",
        )
    found: dict[str, int] = {}
    pairs = []
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _value(loader, key_node, document.name) if isinstance(key_node, yaml.ScalarNode) else key_node
        key = str(key) if isinstance(key, Hashable) and not isinstance(key, yaml.Node) else "?"
        if key in found:
            dotted = ".".join((*above, key)) if _PLAIN.fullmatch(key) else "a key"
            raise ConfigError(
                f"{document.name} line {line}: {dotted} is already on line {found[key]}", hint="keep one of the two"
            )
        found[key] = line
        pairs.append((key, value_node, line))
    return pairs


_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,39}")  # looks like one of our keys, so it may be shown


def _value(loader: yaml.SafeLoader, node: yaml.Node, name: str) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except yaml.constructor.ConstructorError as error:
        mark = error.problem_mark or node.start_mark
        raise ConfigError(
            f"{name} line {mark.line + 1}: this value has a YAML tag (!) or a shape that settings do not have",
            hint="put the value in quotes",
        ) from None
    except (ValueError, OverflowError):  # 2026-99-99 as a date, a number of 5000 digits
        raise ConfigError(
            f"{name} line {node.start_mark.line + 1}: this value cannot be read as the number or date it looks like",
            hint="put the value in quotes if it is text",
        ) from None


def _bracket(text: str, error: yaml.MarkedYAMLError) -> bool:
    mark = error.problem_mark
    lines = text.splitlines()
    return mark is not None and mark.line < len(lines) and re.search(r":\s*\[[^\]]*\]:", lines[mark.line]) is not None


def _syntax(text: str, error: yaml.MarkedYAMLError, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return f"{name} line {line}: YAML is indented with spaces, and this line starts with a tab"
    problem = (error.problem or "").replace("found character '\\t' that cannot start any token", "found a tab")
    problem = re.sub(r"'[^']{3,}'", "this", problem)  # what stands there may be a key; `':'` is YAML's own
    if "single document" in (error.context or ""):
        problem = "only one document is allowed; remove the second `---`"
    return f"{name} line {line}: this is not YAML: {problem or 'it cannot be read'}"
