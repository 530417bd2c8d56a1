"""A string that does not show itself.

Law: the text of a secret leaves this type by `reveal()` and by nothing else; every other way of looking at it (repr,
str, format, pickle, copy to JSON, dataclasses.asdict) shows the mask or refuses. CPython cannot wipe an immutable
string, so this type keeps secrets out of logs and dumps, not out of a debugger's reach (docs/security.md).
"""

import re

from typing import NoReturn, final


__all__ = ["MASK", "Secret", "mask_keys"]

MASK = "[secret]"
KEY = re.compile(r"\bsk-[\w-]{8,}")
"""What an OpenAI key looks like, whatever kind it is of."""


def mask_keys(text: str) -> str:
    """The text with whatever looks like an API key replaced: what somebody typed in the wrong place may be one."""
    return KEY.sub("sk-…", text)


@final
class Secret:
    """Holds one secret string; equality is decided in constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself. Call it where the secret is used, and do not keep what it returns."""
        return self._text

    def hint(self) -> str:
        """The last four characters, for telling two keys apart; shorter secrets show nothing."""
        return f"…{self._text[-4:]}" if len(self._text) >= 16 else "…"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac  # loads OpenSSL, which `--help` can do without

        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "a secret is not pickled or copied; pass the object itself"
        raise TypeError(msg)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self
