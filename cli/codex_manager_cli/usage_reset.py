"""`usage reset`: let a limit count from zero, for an honest mistake.

Law: what was recorded stays; an adjustment is booked beside it, with its time, after the user agreed to the amounts. It is
on disk when this returns, and a running proxy follows within some seconds.
"""

import sys

from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from codex_manager.config.paths import Paths
from codex_manager.core.telling.amounts import dollars, number
from codex_manager.core.telling.quoting import shorten
from codex_manager_cli import suggest
from codex_manager_cli.talk import emit_json, fail, say, warn


if TYPE_CHECKING:  # heavier than what `--help` may load
    from codex_manager.ledger import Reader, Span


__all__ = ["reset"]

REASON = "usage reset"


@click.command()
@click.argument("name", shell_complete=suggest.accounts)
@click.option("--client", is_flag=True, help="NAME is a client key, not an account.")
@click.option("--day", is_flag=True, help="Of today; the default.")
@click.option("--month", is_flag=True, help="Of this month. With --day: of both.")
@click.option("--amount", metavar="USD", help="Take off so many US dollars instead of all.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what changed as JSON.")
def reset(name: str, *, client: bool, day: bool, month: bool, amount: str | None, yes: bool, as_json: bool) -> None:
    """Let the limits of the account NAME count from zero, for an honest mistake.

    What was recorded stays, and so does OpenAI's own figure: where that reaches a limit, the account stays out.
    """
    from codex_manager.ledger import Clerk, Reader

    spans: list[Span] = [*(["day"] if day or not month else []), *(["month"] if month else [])]  # type: ignore[list-item]  # of the two lists, each is seen as one of any text
    off = _amount(amount)
    paths = Paths.locate()
    with ExitStack() as stack:
        reader = stack.enter_context(Reader.open(paths.ledger_file))
        key, label = _whom(paths, reader, name, client=client)
        now = datetime.now(reader.calendar().zone)
        spent = reader.totals(now.timestamp()).of(("client" if client else "account", key))
        counted = {"day": spent.day, "month": spent.month}
        if not any(counted[span] for span in spans):
            say(f"nothing is counted for {label!r} {_words(spans)}, so there is nothing to take off")
            if as_json:
                emit_json([])
            return
        if not yes:
            _confirm(label, [(span, counted[span], off) for span in spans])
        said = None if client else reader.snapshots().get(key)
        changed = Clerk.open(paths.ledger_file, zone=now.tzinfo or reader.calendar().zone).reset(
            ("client" if client else "account", key), off, spans, REASON
        )
    for each in changed:
        say(f"{label!r} counts {dollars(each.after)} {_words([each.span])} instead of {dollars(each.before)}")
        told = None
        if said is not None:
            told = said.spent_in_day(each.start) if each.span == "day" else said.spent_in_month(each.start)
        if told is not None and told > each.after:
            warn(f"OpenAI itself says {dollars(told)} {_words([each.span])}, and a limit counts the larger")
    if as_json:
        emit_json([_data(label, each) for each in changed])


def _whom(paths: Paths, reader: "Reader", name: str, *, client: bool) -> tuple[str, str]:
    """The key under which money is counted, and what people call it."""
    from codex_manager.vault.errors import VaultError
    from codex_manager_cli import session
    from codex_manager_cli.usage_names import FilterError, account_ids, client_named

    try:
        if client:
            found = client_named(name, [str(row.key[0]) for row in reader.usage("client")])
            return found, found
        labels = dict(reader.labels())
        current: dict[str, str] = {}
        try:
            with ExitStack() as stack:
                vault = session.existing(paths, stack)
                current = {account.id: account.label for account in vault.accounts()} if vault else {}
        except VaultError:  # the ledger knows the labels of all that spent something
            pass
        try:
            ids = account_ids(name, current or labels)
        except FilterError:
            ids = account_ids(name, labels | current)
        if len(ids) > 1:
            fail(f"several accounts were called {name!r}", hint="give the id; `codex-manager list` shows it")
        (found,) = ids
        return found, (labels | current)[found]
    except FilterError as error:
        fail(str(error))


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount <= 0:
        fail(f"the amount must be more than 0 US dollars, not '{shorten(text)}'", exit_code=2)
    return amount


def _confirm(label: str, amounts: list[tuple[Any, Decimal, Decimal | None]]) -> None:
    what = " and ".join(
        f"{dollars(counted if off is None else min(off, counted))} of the {dollars(counted)} counted {_words([span])}"
        for span, counted, off in amounts
    )
    if not sys.stdin.isatty():
        fail("there is no terminal to ask on, so nothing was changed", hint="give --yes to mean it", exit_code=2)
    if not click.confirm(f"codex-manager: take {what} off the limits of {label!r}?", err=True):
        fail("nothing was changed")


def _words(spans: list[Any]) -> str:
    return " and ".join({"day": "today", "month": "this month"}[span] for span in spans)


def _data(label: str, each: Any) -> dict[str, Any]:
    return {
        "name": label,
        "window": each.span,
        "before_usd": number(each.before),
        "after_usd": number(each.after),
    }
