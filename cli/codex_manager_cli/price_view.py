"""Prices as a table, as a page about one model, and as data.

Pure. Amounts are US dollars; those of tokens for a million. Law: a model without a price is never shown as if it had one.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from codex_manager.core.rates import PICO, Rates, TokenRates
from codex_manager.core.telling.columns import columns
from codex_manager.ledger.prices import Quote


__all__ = ["as_data", "as_page", "as_table"]

_MILLION: Final = 1_000_000
_TOKENS: Final[Mapping[str, tuple[str, str]]] = {
    # field of TokenRates: words of the page, name in JSON
    "input": ("input", "input"),
    "cached": ("cached input", "cached_input"),
    "cache_write": ("cache write", "cache_write"),
    "output": ("output", "output"),
    "input_audio": ("audio input", "audio_input"),
    "cached_audio": ("cached audio input", "cached_audio_input"),
    "output_audio": ("audio output", "audio_output"),
    "input_image": ("image input", "image_input"),
    "cached_image": ("cached image input", "cached_image_input"),
    "output_image": ("image output", "image_output"),
}
_PARENT: Final[Mapping[str, str]] = {
    # a price equal to this one's goes without saying
    "cache_write": "input",
    "input_audio": "input",
    "cached_audio": "cached",
    "output_audio": "output",
    "input_image": "input",
    "cached_image": "cached",
    "output_image": "output",
}


def as_table(quotes: Sequence[Quote]) -> str:
    """A line a model."""
    rows: list[tuple[str, ...]] = [("MODEL", "INPUT", "CACHED", "OUTPUT", "ALSO", "LISTED")]
    for quote in quotes:
        tokens = quote.rates.tokens
        prices = ("", "", "") if tokens is None else tuple(_usd(p, _MILLION) for p in _main(tokens))
        rows.append((quote.name, *prices, _also(quote.rates), _where(quote)))
    return columns(rows)


def as_page(quotes: Mapping[str, Quote]) -> str:
    """One model at its service tiers, the default one first."""
    tiers = list(quotes)
    first = quotes[tiers[0]]
    known = [("model", first.name)]
    if not first.known:
        known.append(("price", f"unknown; the dearest of {first.family} counts"))
    known.append(("source", _where(first) if not first.date else f"{first.source}, compared on {first.date}"))
    blocks = [columns(known)]
    rows = _token_rows(quotes)
    if len(rows) > 1:
        blocks.append("US dollars for a million tokens\n\n" + columns(rows))
    if units := _unit_rows(first.rates):
        blocks.append("US dollars for other units\n\n" + columns(units))
    return "\n\n".join(blocks)


def as_data(quotes: Mapping[str, Quote]) -> dict[str, Any]:
    """One model at its service tiers."""
    first = next(iter(quotes.values()))
    return {
        "model": first.name,
        "known": first.known,
        "family": first.family or None,
        "overridden": first.overridden,
        "source": first.source,
        "date": first.date or None,
        "tiers": {tier: _rates_data(quote.rates) for tier, quote in quotes.items()},
    }


def _rates_data(rates: Rates) -> dict[str, Any]:
    return {
        "per_million_tokens": None if rates.tokens is None else _token_data(rates.tokens),
        "long_context": [
            {"above_input_tokens": above, "per_million_tokens": _token_data(tokens)} for above, tokens in rates.longer
        ],
        "per_minute": {kind or "any": _number(price, 1, 60) for kind, price in rates.hour.items()},
        "per_million_characters": _number(rates.character, _MILLION),
        "per_image": {kind or "any": _number(price) for kind, price in rates.image.items()},
        "per_thousand_calls": {name: _number(price, 1000) for name, price in rates.call.items()},
        "per_answer": {name: _number(price) for name, price in rates.session.items()},
    }


def _token_data(tokens: TokenRates) -> dict[str, float]:
    return {name: _number(getattr(tokens, kind), _MILLION) for kind, (_, name) in _TOKENS.items()}


def _token_rows(quotes: Mapping[str, Quote]) -> list[tuple[str, ...]]:
    columns_of: list[tuple[str, TokenRates]] = []
    for tier, quote in quotes.items():
        tokens = quote.rates.tokens
        if tokens is None:
            continue
        if columns_of and columns_of[-1][1] == tokens and not quote.rates.longer:  # `priority`, now called `fast`
            columns_of[-1] = (f"{columns_of[-1][0]}, {tier}", tokens)
            continue
        columns_of.append((tier, tokens))
        columns_of += [(f"{tier}, input > {above:,}", longer) for above, longer in quote.rates.longer]
    rows = [("", *(heading for heading, _ in columns_of))]
    for kind, (words, _) in _TOKENS.items():
        if any(_says_more(tokens, kind) for _, tokens in columns_of):
            rows.append((words, *(_usd(getattr(tokens, kind), _MILLION) for _, tokens in columns_of)))
    return rows


def _says_more(tokens: TokenRates, kind: str) -> bool:
    parent = _PARENT.get(kind)
    return parent is None or getattr(tokens, kind) != getattr(tokens, parent)


def _unit_rows(rates: Rates) -> list[tuple[str, str]]:
    rows = [(f"minute{f' of {kind}' if kind else ''}", _usd(price, 1, 60)) for kind, price in rates.hour.items()]
    if rates.character:
        rows.append(("million characters", _usd(rates.character, _MILLION)))
    rows += [(f"image{f', {kind}' if kind else ''}", _usd(price)) for kind, price in rates.image.items()]
    if rates.tokens is not None:
        rows += [(f"thousand calls of {name}", _usd(price, 1000)) for name, price in rates.call.items()]
        rows += [(f"answer that used {name}", _usd(price)) for name, price in rates.session.items()]
    return rows


def _main(tokens: TokenRates) -> tuple[int, int, int]:
    return tokens.input, tokens.cached, tokens.output


def _also(rates: Rates) -> str:
    """What else it is billed by, in few words."""
    found = []
    tokens = rates.tokens
    if tokens is not None:
        if tokens.cache_write != tokens.input:
            found.append(f"cache write {_usd(tokens.cache_write, _MILLION)}")
        if (tokens.input_audio, tokens.output_audio) != (tokens.input, tokens.output):
            found.append(f"audio {_usd(tokens.input_audio, _MILLION)}/{_usd(tokens.output_audio, _MILLION)}")
        if (tokens.input_image, tokens.output_image) != (tokens.input, tokens.output):
            found.append(f"images {_usd(tokens.input_image, _MILLION)}/{_usd(tokens.output_image, _MILLION)}")
        if rates.longer:
            found.append(f"long input {_usd(rates.longer[-1][1].input, _MILLION)}")
    elif not (rates.hour or rates.image or rates.character):
        found.append("free")
    if rates.hour:
        found.append(f"{_range(rates.hour, 1, 60)} a minute")
    if rates.character:
        found.append(f"{_usd(rates.character, _MILLION)} a million characters")
    if rates.image:
        found.append(f"{_range(rates.image)} an image")
    return ", ".join(found)


def _where(quote: Quote) -> str:
    if quote.overridden:
        return f"{quote.source}" + ("" if quote.known else " (in part)")
    return quote.date or quote.source


def _range(prices: Mapping[str, int], times: int = 1, parts: int = 1) -> str:
    low, high = min(prices.values()), max(prices.values())
    return _usd(high, times, parts) if low == high else f"{_usd(low, times, parts)} to {_usd(high, times, parts)}"


def _amount(pico: int, times: int = 1, parts: int = 1) -> Decimal:
    return (Decimal(pico) * times / PICO / parts).quantize(Decimal("0.000001"))


def _usd(pico: int, times: int = 1, parts: int = 1) -> str:
    """At least two decimals, no more than needed."""
    text = format(_amount(pico, times, parts), "f").rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def _number(pico: int, times: int = 1, parts: int = 1) -> float:
    return float(_amount(pico, times, parts))
