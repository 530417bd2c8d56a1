"""How amounts are written: money, tokens and shares. Pure.

Law: money is rounded where it is shown and nowhere else; for programs it is exact to the billionth of a dollar.
"""

from decimal import Decimal


__all__ = ["dollars", "exact", "number", "percent", "usd", "whole"]


def whole(count: int) -> str:
    """12,345."""
    return f"{count:,}" if count else "-"


def usd(amount: Decimal) -> str:
    """For a column: four places, so that a cheap request is not nothing."""
    return f"{amount:,.4f}"


def dollars(amount: Decimal | float) -> str:
    """For a sentence: $12.34."""
    return f"${amount:,.2f}"


def percent(share: float) -> str:
    """85 %; what is above nothing is never 0 %."""
    return "<1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def number(amount: Decimal) -> float:
    """For JSON. A float holds billionths of a dollar exactly enough up to millions of dollars."""
    return float(round(amount, 9))


def exact(amount: Decimal) -> str:
    """Plain digits, never an exponent."""
    return f"{amount:f}"
