"""What an organization's admin key can read: `/v1/organization/costs` and `/v1/organization/usage/*`, by the day.

Law: amounts are added up as Decimal; every list is read to its end, but never for ever; a project's figures are asked
for by its id, so that accounts of one organization are told apart where OpenAI can.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from codex_manager.core.pricing import ZERO
from codex_manager.core.secret import Secret
from codex_manager.provider.line import Line
from codex_manager.provider.words import amount, count, document, error_of


__all__ = ["ADMIN_PATH", "KINDS", "Activity", "RefusedError", "Spent", "activity", "costs"]

ADMIN_PATH: Final = "/v1/organization"
KINDS: Final = ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")
"""The usage lists that count requests of models; the others (vector stores, tool calls) have costs alone."""
PAGES_MAX: Final = 12
"""A month is one page by the day; a server whose pages never end is not OpenAI."""
BUCKETS: Final = "31"
"""Days a page: the most that the usage lists allow, and a month."""


class RefusedError(Exception):
    """OpenAI answered, but not with figures. Holds the status and, if it is a plain word, the error's code."""

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(f"status {status}" + (f", {code}" if code else ""))
        self.status = status
        self.code = code

    @property
    def not_offered(self) -> bool:
        """Asking again soon is no use: the key may not read this, or there is no such page."""
        return self.status in {401, 403, 404, 405}


@dataclass(frozen=True, slots=True)
class Spent:
    """US dollars."""

    today: Decimal
    month: Decimal


@dataclass(frozen=True, slots=True)
class Activity:
    """Requests and tokens of models, (today, month to date)."""

    requests: tuple[int, int]
    input: tuple[int, int]
    output: tuple[int, int]


def costs(line: Line, key: Secret, *, project: str | None, day_start: int, month_start: int) -> Spent:
    """What was spent in US dollars since the month began.

    Raises:
        RefusedError, ValueError, and what `Line.get` raises.
    """
    today = month = ZERO
    for start, result in _results(line, f"{ADMIN_PATH}/costs", key, project, month_start):
        cost = result.get("amount")
        if not isinstance(cost, dict):
            raise ValueError("a cost without an amount")  # noqa: TRY004 - not understood, whatever is wrong with it
        usd = amount(cost.get("value"))
        if usd is None or str(cost.get("currency", "usd")).lower() != "usd":
            raise ValueError("an amount that is not in US dollars")
        month += usd
        if start >= day_start:
            today += usd
    return Spent(max(today, ZERO), max(month, ZERO))  # refunds may outweigh a day's costs


def activity(line: Line, key: Secret, *, project: str | None, day_start: int, month_start: int) -> Activity:
    """Requests and tokens since the month began, over all kinds of models.

    Raises:
        RefusedError, ValueError, and what `Line.get` raises.
    """
    sums: dict[str, list[int]] = {"num_model_requests": [0, 0], "input_tokens": [0, 0], "output_tokens": [0, 0]}
    for kind in KINDS:
        for start, result in _results(line, f"{ADMIN_PATH}/usage/{kind}", key, project, month_start):
            for name, pair in sums.items():
                number = count(result.get(name))
                pair[1] += number
                if start >= day_start:
                    pair[0] += number
    requests, tokens_in, tokens_out = ((pair[0], pair[1]) for pair in sums.values())
    return Activity(requests, tokens_in, tokens_out)


def _results(
    line: Line, path: str, key: Secret, project: str | None, since: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """All results of a list of daily buckets, each with its day's start."""
    asked = [("start_time", str(since)), ("bucket_width", "1d"), ("limit", BUCKETS)]
    if project is not None:
        asked.append(("project_ids", project))
    page: str | None = None
    for _ in range(PAGES_MAX):
        reply = line.get(path, key, parameters=[*asked, ("page", page)] if page is not None else asked)
        if reply.status != 200:
            raise RefusedError(reply.status, error_of(reply.body)[0])
        found = document(reply.body)
        for bucket in _objects(found.get("data")):
            start = count(bucket.get("start_time"))
            if start >= since:  # a bucket of last month is no part of this one, whoever sent it
                yield from ((start, result) for result in _objects(bucket.get("results")))
        following = found.get("next_page")
        if not found.get("has_more") or following is None:
            return
        if not isinstance(following, str) or following == page or len(following) > 2000:
            raise ValueError("a list that does not go on")
        page = following
    raise ValueError("a list without an end")


def _objects(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("not a list of objects")
    return value
