"""A replay as it is shown: what happened and what would have, side by side, and what nobody can know.

Pure. Law: the two figures stand beside each other; whatever weakens the second is said in numbers.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from codex_manager.core.allowance import dollars
from codex_manager.core.picture import Picture, side_by_side
from codex_manager.core.telling.amounts import number, usd, whole
from codex_manager.core.telling.columns import columns, right
from codex_manager_cli.replayed import Shown
from codex_manager_cli.usage_names import display_names


__all__ = ["as_data", "as_table", "notes"]


def as_table(shown: Shown) -> str:
    """An account a line, then the sums."""
    result, labels = shown.result, display_names(shown.labels)
    was, would = "+".join(shown.were) or "was", shown.strategy
    rows: list[tuple[str, ...]] = [
        ("", "REQUESTS", "", "USD", "", "FAILOVERS", ""),
        ("ACCOUNT", *("was", "would be") * 3),
    ]
    for account_id, (before, after) in side_by_side(result).items():
        rows.append(
            (
                labels.get(account_id, account_id[:8]),
                whole(before.requests),
                whole(after.requests),
                usd(before.usd),
                usd(after.usd),
                whole(before.failovers),
                whole(after.failovers),
            )
        )
    rows.append(("total", *_total(result.was, result.would)))
    head = (
        f"{result.requests:,} requests from {_local(shown.since)} to {_local(shown.until)}: what was ({was}),"
        f" and what would have been ({would})"
    )
    errors = f"answered with an error: {result.was.errors:,} were, {result.would.errors:,} would have been"
    return f"{head}\n\n{columns(right(rows, first=1))}\n\n{errors}"


def _total(was: Picture, would: Picture) -> tuple[str, ...]:
    requests = [sum(share.requests for share in picture.shares.values()) for picture in (was, would)]
    return (*map(whole, requests), usd(was.usd), usd(would.usd), whole(was.failovers), whole(would.failovers))


def notes(shown: Shown) -> Iterator[str]:
    """What weakens the second picture."""
    result = shown.result
    yield "what an account answered then is taken for what it would have answered, whatever else had been sent to it"
    if result.unknown:
        yield f"{result.unknown:,} requests would have gone to an account that nobody asked at about that time; it is taken to have answered them"
    if result.uncosted:
        yield f"{result.uncosted:,} requests had no answer and would have had one; what it would have cost is not known, and counts as nothing"
    if result.moved_cached:
        yield (
            f"{result.moved_cached:,} requests had read from a prompt cache and would have been where it is not:"
            f" up to {dollars(result.moved_usd)} more, which is not in the table"
        )
    if result.tied:
        yield f"{result.tied:,} requests were tied to their account, by what they name or by their WebSocket, and stay there"
    if shown.strategy == "sticky" and result.conversations < result.requests:
        yield (
            f"of {result.requests - result.conversations:,} requests it is not known which conversation they belong to"
            " (only `sticky` reads that from the body); they go by least_utilized"
        )
    if shown.strategy in {"least_utilized", "sticky"}:
        yield "least_utilized goes by requests in flight, turns and spending limits here; the room that OpenAI's headers told is not recorded"
    if shown.gone:
        yield f"{shown.gone} of the accounts that served then are gone; accounts are taken as they are now"
    if result.untouched:
        yield f"{result.untouched:,} requests were answered before an account was chosen, and stay as they were"


def as_data(shown: Shown) -> dict[str, Any]:
    """For `--json`; names and order stay from release to release."""
    result = shown.result
    return {
        "since": _iso(shown.since),
        "until": _iso(shown.until),
        "requests": result.requests,
        "was": {"strategies": list(shown.were), **_picture(result.was)},
        "would_be": {"strategy": shown.strategy, **_picture(result.would)},
        "accounts": [
            {
                "account": shown.labels.get(account_id),
                "account_id": account_id,
                **{
                    name: {"requests": share.requests, "usd": number(share.usd), "failovers": share.failovers}
                    for name, share in zip(("was", "would_be"), pair, strict=True)
                },
            }
            for account_id, pair in side_by_side(result).items()
        ],
        "same_account": result.same,
        "not_known": {
            "nobody_asked": result.unknown,
            "cost_unknown": result.uncosted,
            "cache_lost": result.moved_cached,
            "cache_lost_usd_at_most": number(result.moved_usd),
            "conversation_unknown": result.requests - result.conversations,
            "accounts_gone": shown.gone,
        },
        "tied": result.tied,
        "untouched": result.untouched,
    }


def _picture(picture: Picture) -> dict[str, Any]:
    return {"usd": number(picture.usd), "failovers": picture.failovers, "errors": picture.errors}


def _local(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
