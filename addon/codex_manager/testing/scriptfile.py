"""Reads accounts and scripts from a YAML or JSON file, for the fake as a process of its own. Format: docs/testing.md.

A step is a name (`ok`), or a mapping of names to arguments: `{rate_limited: {retry_after: 2}, encoded: gzip}`. Names
are those of `answers` and `toxics`; arguments are a mapping, a list, or one value.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from codex_manager.testing import answers, toxics
from codex_manager.testing.server import FakeOpenAI
from codex_manager.testing.step import Step, Toxic


__all__ = ["ScriptError", "apply", "load"]

FILE_FIELDS = frozenset({"accounts", "rules", "spent", "used"})
ACCOUNT_FIELDS = frozenset({
    "key", "organization", "project", "models", "admin", "billing", "limit", "script", "cycle", "always",
})  # fmt: skip
RULE_FIELDS = frozenset({"key", "path", "model", "script", "cycle", "always"})


class ScriptError(ValueError):
    """The file does not say what it means; the message names the place."""


def load(path: Path, fake: FakeOpenAI) -> None:
    """Read a file and set the stage by it."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} is neither YAML nor JSON: {error}") from error
    except OSError as error:
        raise ScriptError(f"{path} cannot be read: {error.strerror}") from error
    try:
        apply(content, fake)
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from error


def apply(content: Any, fake: FakeOpenAI) -> None:
    """Set the stage by the content of a script file."""
    for account in listed(content, "accounts", FILE_FIELDS):
        fields = checked(account, ACCOUNT_FIELDS, "an account")
        if not isinstance(fields.get("key"), str):
            raise ScriptError("an account needs a key")
        models = fields.get("models")
        if fields.get("admin"):
            if not isinstance(fields.get("organization"), str):
                raise ScriptError("an admin key needs an organization")
            fake.admin(fields["key"], fields["organization"])
        else:
            fake.account(
                fields["key"],
                fields.get("organization"),
                fields.get("project"),
                models=tuple(models) if models else None,
            )
        if billing := fields.get("billing"):
            called(fake.billing, [fields["key"]], billing, "billing")
        if limit := fields.get("limit"):
            called(fake.limit, [fields["key"]], limit, "limit")
        rule(fields, fake)
    for name, write in (("spent", fake.spent), ("used", fake.used)):
        for entry in listed(content, name, FILE_FIELDS):
            if not isinstance(entry, dict):
                raise ScriptError(f"`{name}` is a list of mappings")
            called(write, [], entry, name)
    for entry in listed(content, "rules", FILE_FIELDS):
        rule(checked(entry, RULE_FIELDS, "a rule"), fake)


def rule(fields: dict[str, Any], fake: FakeOpenAI) -> None:
    key, where = fields.get("key"), {"path": fields.get("path"), "model": fields.get("model")}
    try:
        if "always" in fields:
            fake.always(key, step(fields["always"]), **where)
        for kind, queue in (("script", fake.script), ("cycle", fake.cycle)):
            if kind in fields:
                if not isinstance(fields[kind], list):
                    raise ScriptError(f"`{kind}` is a list of steps")
                queue(key, *(step(entry) for entry in fields[kind]), **where)
    except ScriptError:
        raise
    except ValueError as error:
        raise ScriptError(str(error)) from error


def step(entry: Any) -> Step | Toxic:
    """One step: a name, or a mapping from names to arguments whose toxics apply to its answer."""
    calls = {entry: None} if isinstance(entry, str) else entry
    if not isinstance(calls, dict) or not calls:
        raise ScriptError(f"a step is a name or a mapping, not {entry!r}")
    made: Step | Toxic | None = None
    for name, arguments in calls.items():
        part = call(name, arguments)
        if made is None:
            made = part
        elif isinstance(part, Toxic):
            made = made | part
        elif isinstance(made, Toxic):
            made = part | made
        else:
            raise ScriptError(f"a step has one answer, not two: {', '.join(map(str, calls))}")
    assert made is not None
    return made


def call(name: Any, arguments: Any) -> Step | Toxic:
    source = answers if name in answers.__all__ else toxics if name in toxics.__all__ else None
    if source is None:
        known = ", ".join(sorted([*answers.__all__, *toxics.__all__]))
        raise ScriptError(f"there is no answer or toxic named {name!r}; there are: {known}")
    if name == "wire" and isinstance(arguments, str):
        arguments = arguments.encode()
    made = called(getattr(source, name), [], arguments, name)
    assert isinstance(made, Step | Toxic)
    return made


def called(function: Callable[..., object], first: list[Any], arguments: Any, name: str) -> object:
    """Call with a mapping as keywords, a list as positions, or one value."""
    try:
        if arguments is None:
            return function(*first)
        if isinstance(arguments, dict):
            return function(*first, **arguments)
        return function(*first, *(arguments if isinstance(arguments, list) else [arguments]))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ScriptError(f"`{name}` does not take {arguments!r}: {error}") from error


def listed(content: Any, name: str, allowed: frozenset[str]) -> list[Any]:
    entries = checked(content, allowed, "the file").get(name) or []
    if not isinstance(entries, list):
        raise ScriptError(f"`{name}` is a list")
    return entries


def checked(entry: Any, allowed: frozenset[str], what: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ScriptError(f"{what} is a mapping with some of: {', '.join(sorted(allowed))}")
    if unknown := sorted(str(name) for name in entry.keys() - allowed):
        raise ScriptError(f"{what} has unknown fields: {', '.join(unknown)}; known are {', '.join(sorted(allowed))}")
    return entry
