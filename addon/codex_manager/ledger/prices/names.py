"""Names of models: their snapshots, fine-tuned children and families. Pure text; knows no price."""

import re

from collections.abc import Iterator


__all__ = ["base_of_fine_tuned", "in_family", "normal", "stems", "undated"]

LONGEST = 200
"""Characters. OpenAI's longest names, those of fine-tuned models, stay below 100; what clients send may be anything."""
_DAY = re.compile(r"-20\d\d-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_JOINTS = re.compile(r"[-.:_/]")


def normal(name: str) -> str:
    """As it is compared: `openai/GPT-4o` and `gpt-4o` are one."""
    return name[:LONGEST].strip().lower().removeprefix("openai/").removeprefix("models/")


def undated(name: str) -> str:
    """Without the day of the snapshot: `gpt-4o` for `gpt-4o-2024-08-06`."""
    return _DAY.sub("", name)


def base_of_fine_tuned(name: str) -> str | None:
    """`gpt-4.1-mini-2025-04-14` for `ft:gpt-4.1-mini-2025-04-14:acme::B1x`; None for other models."""
    return name.split(":")[1] if name.startswith("ft:") else None


def stems(name: str) -> Iterator[str]:
    """What families it may be of, nearest first: `gpt-5.7-sol`, `gpt-5.7`, `gpt-5`, `gpt`."""
    while name:
        yield name
        cut = max((joint.start() for joint in _JOINTS.finditer(name)), default=-1)
        if cut < 0:
            break
        name = name[:cut]
    letters = name.rstrip("0123456789")
    if letters and letters != name:  # `o5` is of the family of `o3`
        yield letters


def in_family(name: str, stem: str) -> bool:
    """Whether a name begins with a stem, at a joint or before a number: `o3` is of `o`, `gpt-50` is not of `gpt-5`."""
    if not name.startswith(stem):
        return False
    rest = name[len(stem) :]
    return not rest or not rest[0].isalnum() or (rest[0].isdigit() and not stem[-1].isdigit())
