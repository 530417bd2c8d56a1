"""Reads what OpenAI answered: JSON with exact amounts, and the code of an error.

Law: total over any bytes; numbers become Decimal, never binary floats; OpenAI's sentences are looked at and never
repeated, because it quotes parts of a key in them.
"""

import json
import re

from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from codex_manager.core.pricing import NANO


__all__ = ["MONEY_MAX", "amount", "count", "document", "error_of"]

MONEY_MAX = Decimal(10) ** 9
"""US dollars beyond which a number is no amount but nonsense (some gateways say 100000000 for "no limit")."""


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON


def document(body: bytes) -> dict[str, Any]:
    """The JSON object.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
    except (ValueError, InvalidOperation, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - for the caller both are the same: not understood
    return found


def amount(value: object) -> Decimal | None:
    """An amount of money as a number or as text, exact to a billionth; None when it is none or beyond all reason."""
    if isinstance(value, str) and len(value) <= 64:
        try:
            value = Decimal(value)
        except InvalidOperation:
            return None
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() > MONEY_MAX.adjusted():
        return None
    return value.quantize(NANO) if abs(value) <= MONEY_MAX else None


def count(value: object) -> int:
    """A number of something; 0 when it is none."""
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() > 18 or value < 0:
        return 0
    return int(value)


def error_of(body: bytes) -> tuple[str, str]:
    """The error's code, if it is a plain word, and its message in lower case for looking at, not for showing."""
    try:
        error = document(body).get("error")
    except ValueError:
        return "", ""
    if not isinstance(error, dict):
        return "", ""
    code, message = error.get("code"), error.get("message")
    plain = isinstance(code, str) and re.fullmatch(r"[a-z_]{1,64}", code)
    return (str(code) if plain else ""), (message.lower() if isinstance(message, str) else "")
