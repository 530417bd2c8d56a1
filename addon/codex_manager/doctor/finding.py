"""What a look at one thing found.

Law: a sentence for its reader, without a secret; whatever is not well comes with what to do about it.
"""

from dataclasses import dataclass
from typing import Final, Literal


__all__ = ["AREAS", "Area", "Finding", "Level", "bad", "ok", "warn"]

type Level = Literal["ok", "warn", "bad"]
"""`warn`: it works, or may work, and deserves a look. `bad`: something does not work, or a secret is open to others."""
type Area = Literal[
    "configuration", "vault", "master key", "permissions", "ledger", "proxy", "certificates", "environment", "upstream", "clock", "accounts",
]  # fmt: skip
AREAS: Final[tuple[str, ...]] = Area.__value__.__args__
"""In the order of an examination."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing."""

    area: Area
    level: Level
    text: str
    cure: str = ""
    """What to do; empty where all is well."""


def ok(area: Area, text: str) -> Finding:
    return Finding(area, "ok", text)


def warn(area: Area, text: str, cure: str | None) -> Finding:
    return Finding(area, "warn", text, cure or "")


def bad(area: Area, text: str, cure: str | None) -> Finding:
    return Finding(area, "bad", text, cure or "")
