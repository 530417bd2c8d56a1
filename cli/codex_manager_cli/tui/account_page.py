"""All about one account, for reading: what the proxy knows of it now, and what the vault keeps. Pure."""

from collections.abc import Mapping

from rich.text import Text

from codex_manager_cli.tui.source import AccountLine
from codex_manager_cli.tui.words import STATES, amount, count, left, meter, percent, plain


__all__ = ["account_page"]


def account_page(account: AccountLine, now: float, tones: Mapping[str, str]) -> Text:
    """Lines of a name and what there is to say; `tones` are styles by the tone of a cell."""
    page = Text()
    word, tone = STATES.get(account.state or "", (account.state or "unknown", "dim"))

    def line(name: str, *pieces: tuple[str, str] | str) -> None:
        page.append(f"{name:<13}", "dim")
        for piece in pieces:
            page.append(*piece) if isinstance(piece, tuple) else page.append(piece)
        page.append("\n")

    back = left(account.retry_at, now)
    line(
        "state",
        (word, tones[tone]),
        f"  {account.reason}" if account.reason else "",
        f"  back in {back}" if back else "",
    )
    if account.in_flight is not None:
        line(
            "now",
            f"{account.in_flight} in flight",
            f"; its circuit breaker is {account.breaker}" if account.breaker not in {"", "closed"} else "",
        )
    if account.requests_today is not None:
        line(
            "today",
            f"{count(account.requests_today)} requests, {amount(account.today)}; this month {amount(account.month)}",
        )
    for limit in account.limits:
        spent = limit.spent or 0.0
        line(f"{limit.window} limit", *_bar(spent / limit.most, tones), f" {amount(spent)} of {amount(limit.most)}")
    widest = min(30, max((len(each.model) for each in account.models), default=0))
    for each in account.models:
        rest = left(each.retry_at, now)
        used = () if each.used is None or rest else (*_bar(each.used, tones), f" {percent(each.used)} of its limit")
        line("model", f"{each.model:<{widest}}  ", *used, (f"rests, back in {rest}", tones["warn"]) if rest else "")
    kept = account.kept
    if kept is None:
        line("vault", ("not open: u opens it, and more is shown here", "dim"))
        return page
    line("key", f"{kept['key']}", "; admin key " + kept["admin_key"] if kept["admin_key"] else "")
    line("priority", f"{kept['priority']}, weight {kept['weight']:g}")
    line("models", plain(", ".join(kept["models"]) or "all"))
    for name in ("organization", "project", "base_url"):
        if kept[name]:
            line(name.replace("_", " "), plain(kept[name]))
    if account.domain and "account:" not in account.domain and account.domain != kept["organization"]:
        line("whose", plain(account.domain))
    if kept["tags"]:
        line("tags", plain(", ".join(kept["tags"])))
    if kept["notes"]:
        line("notes", plain(kept["notes"], 1000))
    line("added", plain(kept["created_at"])[:10], f"; changed {plain(kept['updated_at'])[:10]}")
    return page


def _bar(share: float, tones: Mapping[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    used, rest = meter(share, 12)
    return (used, tones["bad" if share >= 1 else "warn" if share >= 0.8 else "good"]), (rest, tones["faint"])
