"""codex-manager at mitmproxy's own command bar: `codex.status`, `codex.switch`, `codex.enable`, `codex.disable`, `codex.explain`,
`codex.reload`.

Knows mitmproxy's commands, which are synchronous and run on the loop. Laws: the loop is held up 50 ms at most; what takes longer goes on
in a thread, and the log says what came of it. A wish that cannot be met is one sentence, never a traceback.
"""

import asyncio
import logging
import re

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol

from mitmproxy import command, ctx, exceptions, http
from mitmproxy.log import ALERT
from mitmproxy.utils import asyncio_utils

from codex_manager.accounts.desk import Desk
from codex_manager.core.errors import CodexManagerError, type_and_place


__all__ = ["Commands", "Deps"]

log = logging.getLogger(__name__)

HOLDS_UP_S: Final = 0.05
"""A write to the vault takes 10 to 30 ms."""
AUTO: Final = "--auto"
_ID: Final = re.compile(r"[0-9a-f]{32}(?:[.-]\d{1,9})?")


class Deps(Protocol):
    """What the commands need; `inspect.running.Running` has it."""

    @property
    def desk(self) -> Desk:
        """Accounts; blocks."""
        ...

    def status(self) -> Mapping[str, Any]:
        """As `codex-manager status --json` prints it."""
        ...

    def explain(self, request_id: str) -> str:
        """A page about a request."""
        ...

    def reload(self) -> Awaitable[None]:
        """Take over what changed on disk."""
        ...


class Commands:
    """An addon. `deps` gives None while there is nothing to command."""

    def __init__(self, deps: Callable[[], Deps | None]) -> None:
        self.name = "codex_manager_commands"
        self._deps = deps
        self._hands: ThreadPoolExecutor | None = None
        """One thread, so that wishes are met in the order in which they were said."""

    def done(self) -> None:
        """Wishes that are being met are finished; others are not begun."""
        hands, self._hands = self._hands, None
        if hands is not None:
            hands.shutdown(wait=False, cancel_futures=True)

    @command.command("codex.status")  # type: ignore[untyped-decorator]  # mitmproxy's
    def status(self) -> str:
        """Show codex-manager's accounts and whether they can serve."""
        return _said(lambda: _status(self._there().status()))

    @command.command("codex.switch")  # type: ignore[untyped-decorator]  # mitmproxy's
    def switch(self, account: str) -> str:
        """Send all requests to one account; `codex.switch --auto` lets the strategy choose again."""
        there = self._there()

        def meet() -> str:
            if account == AUTO:
                there.desk.switch(None)
                return "the strategy chooses again"
            switched = there.desk.switch(there.desk.find(account).id)
            assert switched is not None
            return f"all requests go to {switched.label} from now on"

        return self._meet(there, meet)

    @command.command("codex.enable")  # type: ignore[untyped-decorator]  # mitmproxy's
    def enable(self, account: str) -> str:
        """Let an account serve again."""
        there = self._there()
        return self._meet(there, lambda: f"{_enable(there.desk, account, on=True)} may serve")

    @command.command("codex.disable")  # type: ignore[untyped-decorator]  # mitmproxy's
    def disable(self, account: str) -> str:
        """Keep an account from serving."""
        there = self._there()
        return self._meet(there, lambda: f"{_enable(there.desk, account, on=False)} is kept from serving")

    @command.command("codex.explain")  # type: ignore[untyped-decorator]  # mitmproxy's
    def explain(self, request: str) -> str:
        """Show why a request went where it went: give its id, or a flow such as @focus."""
        there = self._there()
        wanted = request.strip()
        name = wanted.lower() if _ID.fullmatch(wanted.lower()) else _id_of_flow(wanted)
        return _said(lambda: there.explain(name))

    @command.command("codex.reload")  # type: ignore[untyped-decorator]  # mitmproxy's
    def reload(self) -> str:
        """Take over what changed in codex-manager's configuration and vault."""
        self._look(self._there(), tells=True)
        return "looking at configuration and vault; the log says what changed"

    def _there(self) -> Deps:
        deps = self._deps()
        if deps is None:
            raise exceptions.CommandError("codex-manager is not running; its log says why")
        return deps

    def _meet(self, there: Deps, wish: Callable[[], str]) -> str:
        """Do it in a thread, and wait for it as long as the loop can."""
        if self._hands is None:
            self._hands = ThreadPoolExecutor(1, thread_name_prefix="codex-manager command")
        future = self._hands.submit(wish)
        try:
            said = _said(lambda: future.result(HOLDS_UP_S))
        except TimeoutError:
            loop = asyncio.get_running_loop()
            future.add_done_callback(lambda done: loop.call_soon_threadsafe(self._came, there, done))
            return "it takes a moment; the log says what comes of it"
        self._look(there)
        return said

    def _came(self, there: Deps, done: Future[str]) -> None:
        if done.cancelled():
            return
        try:
            said = _said(done.result)
        except exceptions.CommandError as error:
            log.log(ALERT, "codex-manager: %s", error)
        else:
            log.log(ALERT, "codex-manager: %s", said)
            self._look(there)

    def _look(self, there: Deps, *, tells: bool = False) -> None:
        """Have the proxy take it over now rather than at its next look."""
        asyncio_utils.create_task(_reload(there, tells=tells), name="codex-manager reload", keep_ref=True)


async def _reload(there: Deps, *, tells: bool) -> None:
    try:
        await there.reload()
    except Exception as error:  # noqa: BLE001 - nobody awaits it
        log.error("codex-manager could not look again: %s", type_and_place(error))  # noqa: TRY400 - the message may hold a secret
    else:
        if tells:
            log.log(ALERT, "codex-manager has looked at configuration and vault")


def _said(do: Callable[[], str]) -> str:
    """What is done in words; our own errors become mitmproxy's."""
    try:
        return do()
    except CodexManagerError as error:
        raise exceptions.CommandError(f"{error}; {error.hint}" if error.hint else str(error)) from error
    except (exceptions.CommandError, TimeoutError):
        raise
    except Exception as error:  # noqa: BLE001 - mitmproxy would show its traceback
        log.error("a command failed: %s", type_and_place(error))  # noqa: TRY400 - the message may hold a secret
        raise exceptions.CommandError("codex-manager failed; its log says where") from None


def _enable(desk: Desk, account: str, *, on: bool) -> str:
    return desk.enable(desk.find(account).id, on).label


def _id_of_flow(spec: str) -> str:
    """The request of the one flow that is meant."""
    try:
        flows = ctx.master.commands.call_strings("view.flows.resolve", [spec])
    except exceptions.CommandError:
        flows = []
    if len(flows) != 1 or not isinstance(flows[0], http.HTTPFlow):
        raise exceptions.CommandError("give the id of a request, or one flow, such as @focus")
    facts = flows[0].metadata.get("codex_manager")
    named = facts.get("request_id") if isinstance(facts, dict) else None
    if not isinstance(named, str):
        raise exceptions.CommandError("codex-manager had no part in this flow")
    return named


def _status(status: Mapping[str, Any]) -> str:
    """Lines for people."""
    accounts = status["accounts"]
    if status["locked"]:
        return "the vault is locked; unlock it with `codex-manager vault unlock`"
    head = [f"strategy {status['strategy']}"]
    if status["switched_to"]:
        head.append(f"switched to {status['switched_to']}")
    head.append(f"{status['available']} of {len(accounts)} accounts can serve")
    head.append(f"{status['in_flight']} requests on their way")
    if status["waiting"]:
        head.append(f"{status['waiting']} waiting")
    return "\n".join([", ".join(head), *(_account(each) for each in accounts)])


def _account(account: Mapping[str, Any]) -> str:
    words = [account["state"]]
    if account["reason"]:
        words.append(account["reason"])
    if account["retry_at"]:
        words.append(f"until {account['retry_at']}")
    if account["used"] is not None:
        words.append(f"{account['used'] * 100:.0f} % of its limit used")
    return f"{account['label']}: {', '.join(str(word) for word in words)}"
