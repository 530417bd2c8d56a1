"""What one request costs: opened when it comes, closed once, whatever way it ends.

Theory of operation. A tab knows what its request may cost (`need`); the decision holds that against what is left of each
account's limits. An attempt opens with `begin`, which sets that much aside for the account and the client, and ends in
one of:

    refused     the upstream said no, or never had the request: all of it is given back
    broke       the same, or nobody knows: then it is owed, and the input is booked
    arrived     a good answer is on its way; `finish` books what it used (engine.tap reads bodies, sessions read events)
    given_up    a good answer had begun, but the request goes elsewhere: what it is known to have used is booked

`answered` closes the tab of a request whose answer is whole already, `abandon` one that ends without an answer. Either way
there is one `Record`, and every hold is settled or released exactly once. What an attempt that came to nothing may have
cost is a record of its own where the request went on with another account, because it is that account's money.

Law: nothing here waits, and nothing but `begin` raises into the carrying of a request: what cannot be worked out is given
back, and the log says where.
"""

import logging
import secrets

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from codex_manager.core.account import Account
from codex_manager.core.errors import type_and_place
from codex_manager.core.failure import FailureClass
from codex_manager.core.metering import OVER
from codex_manager.core.openai_error import ErrorAnswer
from codex_manager.core.pricing import ZERO
from codex_manager.core.record import Attempt, Record, Reservation
from codex_manager.core.routing import Choice, Reason, Refusal
from codex_manager.core.spend import Hold
from codex_manager.core.usage import Usage
from codex_manager.engine.asking import Asked
from codex_manager.engine.broken import Broken
from codex_manager.engine.messages import Answer, Request


if TYPE_CHECKING:
    from codex_manager.engine.metering import Metering

__all__ = ["GONE", "NO_TAB", "Tab", "Used"]

log = logging.getLogger(__name__)

GONE: Final = "gone"
"""`Record.failure` of a request whose client left."""


@dataclass(slots=True, kw_only=True)
class Used:
    """What passed by of an answer. Never changed."""

    usage: Usage | None = None
    """As the upstream said it, or estimated; None when nothing was used, or when it belongs to an earlier request."""
    settles: bool = False
    """The figures are those of an object that an earlier request made."""
    object_id: str | None = None
    status: str | None = None
    """The object's own."""


NOTHING = Used()


class Tab:
    """See the module's docstring. Mutable state: the attempts so far, what is held for the one that runs, and how it ended."""

    __slots__ = (
        "_attempts", "_hold", "_is_carried", "_is_owed", "_is_sent", "_is_trying", "_metering", "_request", "_reservation",
        "_session", "_status", "_told", "_tries", "_try_began", "_trying", "account", "answered_by", "asked", "began", "cost",
        "detail", "id", "is_closed", "is_stream", "need", "received", "time",
    )  # fmt: skip

    def __init__(self, metering: "Metering", request: Request, asked: Asked, session: str | None, number: int) -> None:
        self._metering, clock = metering, metering.clock
        self._request = request
        self.asked = asked
        self._session = session
        name = request.id or secrets.token_hex(16)
        self.id = f"{name}.{number}" if number else name
        self.time = clock.time()
        self.began = clock.monotonic()
        self.need = metering.need(asked)
        """US dollars this may cost."""
        self.cost = ZERO
        """What it came to in the end."""
        self.account: Account | None = None
        """Whom the last attempt went to."""
        self.answered_by = ""
        """Strategy, once there is an answer."""
        self.detail: dict[str, Any] = {}
        self.received = 0
        """Bytes of the answer's body that have come so far."""
        self.is_stream = False
        """The answer comes as events."""
        self._told: dict[str, str | int | float] | None = None
        """Facts of the client's answer, for whoever looks at its flow."""
        self._attempts: list[Attempt] = []
        self._tries = 0
        self._try_began = 0.0
        self._trying: Choice | None = None
        self.is_closed = False
        """It is booked."""
        self._is_trying = self._is_sent = self._is_owed = self._is_carried = False
        self._hold: Hold | None = None
        self._reservation = ""
        self._status = 0
        metering.running[self] = None

    def now(self) -> float:
        """Monotonic."""
        return self._metering.clock.monotonic()

    @property
    def request(self) -> Request:
        """What it is about."""
        return self._request

    @property
    def tries(self) -> int:
        """Attempts begun so far."""
        return self._tries

    @property
    def stage(self) -> str:
        """`deciding` while it is with nobody, `asked` while an account is asked, `answering` while a good answer comes."""
        return "answering" if self._is_carried else "asked" if self._is_trying else "deciding"

    @property
    def status(self) -> int:
        """That of the answer on its way; 0 while there is none."""
        return self._status

    # --- before anybody is asked ---

    def refusal(self) -> ErrorAnswer | None:
        """Why the client may not have this; None when it may."""
        return self._metering.refusal(self._request.client, self.asked.model, self.need, free=self.asked.is_free)

    def against(self, reasons: Sequence[Reason]) -> tuple[tuple[str, str, str, float | None], ...]:
        """The reasons against accounts, as they are kept."""
        if not reasons:
            return ()
        wall = self._metering.clock.time() - self._metering.clock.monotonic()
        return tuple(
            (r.account.id, r.obstacle.value, r.detail, None if r.until is None else round(wall + r.until, 3))
            for r in reasons
        )

    # --- attempts ---

    def begin(self, account: Account, choice: Choice | None = None) -> None:
        """An attempt: set aside what it may cost, in the same breath as the decision."""
        if self._is_owed:
            self._book_lost()
        metering = self._metering
        if self._hold is not None and (self.account is None or self.account.id != account.id):
            self._release()
        self.account, self._trying = account, choice
        self._tries += 1
        self.received = 0
        self._try_began = began = metering.clock.monotonic()
        self._is_trying, self._is_sent = True, False
        if self.need <= ZERO or self._hold is not None:
            return
        client = self._request.client
        self._hold = metering.spending.reserve((("account", account.id), ("client", client)), self.need)
        self._reservation = self.id if self._tries == 1 else f"{self.id}-{self._tries}"
        metering.book.reserved(
            Reservation(
                self._reservation,
                self.time + (began - self.began),
                account.id,
                account.label,
                client,
                self.asked.endpoint,
                self.asked.model,
                self.need,
            )
        )

    def sent(self) -> None:
        """The whole request is on its way: from now on it may cost something."""
        self._is_sent = True

    def refused(self, status: int, failure: str = "", code: str = "") -> None:
        """The attempt cost nothing."""
        self._tried(status, failure, code)
        self._release()

    def broke(self, broken: Broken) -> None:
        """There is no answer. Whether there was work for one is known only when the request never arrived."""
        failure = broken.verdict.failure
        self._tried(0, failure.value, broken.error.trouble.value)
        if failure is FailureClass.AMBIGUOUS and self.asked.is_billed:
            self._is_owed = True
        else:
            self._release()

    def opened(self) -> None:
        """A WebSocket is open. What is held stays held for what will be asked on it."""
        self._tried(101, "", "")

    def arrived(self, status: int) -> None:
        """A good answer is on its way."""
        self._tried(status, "", "")
        self._is_carried = True
        self._status = status

    def given_up(self, failure: str, code: str = "", used: Used = NOTHING) -> None:
        """An answer that had begun is not taken; the request may go elsewhere."""
        self._is_carried = False
        if self._is_trying:
            self._tried(200, failure, code)
        elif self._attempts:
            self._attempts[-1] = replace(self._attempts[-1], failure=failure, code=code)
        if used.usage is not None:
            self._book_lost(used.usage)
        else:
            self._release()

    # --- the end ---

    def answered(self, answer: Answer, refusal: Refusal | None = None) -> None:
        """The client gets this. The end, unless it is an answer of which the rest is still to come."""
        answer.request_id, self._told = self.id, answer.facts
        self.answered_by = answer.strategy
        if self._is_carried or self.is_closed:
            return
        if refusal is not None:
            self.detail["out"] = [list(reason) for reason in self.against(refusal.reasons)]
        self._close(answer.status, answer.failure, answer.account_id, answer.account_label)

    def abandon(self, failure: str = GONE) -> None:
        """There will be no answer: the client left, or we broke."""
        if self.is_closed:
            return
        if self._is_trying:
            if self._is_sent and self.asked.is_billed:
                self._is_owed = True
            self._tried(0, failure, "")
        self._close(0, failure, None, None)

    def finish(
        self,
        failure: str = "",
        used: Used = NOTHING,
        *,
        status: int | None = None,
        first_byte: float | None = None,
        streamed: bool = False,
    ) -> None:
        """The answer has ended, one way or another: book what it used. `first_byte` is monotonic."""
        if self.is_closed:
            return
        if self._is_trying:
            self._tried(status or 200, failure, "")
        if status is not None:
            self._status = status
        self._over()
        try:
            self._finish(failure, used, first_byte, streamed)
        except Exception as error:  # noqa: BLE001 - counting never fails a request
            _not_booked(error)
        finally:
            if self._hold is not None:
                self._release()

    # --- inside ---

    def _over(self) -> None:
        self.is_closed = True
        self._metering.running.pop(self, None)

    def _tried(self, status: int, failure: str, code: str) -> None:
        if not self._is_trying or self.account is None:
            return
        self._is_trying = False
        choice, self._trying = self._trying, None
        began = self._try_began
        self._attempts.append(
            Attempt(
                self.account.id,
                self.account.label,
                began - self.began,
                self._metering.clock.monotonic() - began,
                status,
                failure,
                code,
                choice.by if choice is not None else "",
                self.against(choice.reasons) if choice is not None and choice.reasons else (),
            )
        )

    def _close(self, status: int, failure: str, account_id: str | None, label: str | None) -> None:
        """Without an answer to read: nothing is owed but what nobody knows."""
        self._over()
        try:
            record = self._record(status, failure)
            if self._is_owed and self.account is not None:
                self._bill(record, self.asked.goes_in)
            else:
                record.account_id, record.account = account_id, label
            self._book(record)
        except Exception as error:  # noqa: BLE001 - counting never fails a request
            _not_booked(error)
        finally:
            if self._hold is not None:
                self._release()

    def _finish(self, failure: str, used: Used, first_byte: float | None, streamed: bool) -> None:
        metering, usage = self._metering, used.usage
        record = self._record(self._status, failure)
        record.streamed, record.object_id = streamed, used.object_id
        if first_byte is not None:
            record.first_byte_s = first_byte - self.began
        if used.settles:
            if usage is not None and used.object_id is not None and used.status in OVER:
                metering.book.settle_object(used.object_id, usage, metering.cost(self.asked.model, usage))
            self._book(record)
            return
        is_open = used.object_id is not None and used.status is not None and used.status not in OVER
        if is_open and (self.asked.goes_on or not failure):
            record.open = True
            usage = metering.expected(self.asked)
        self._bill(record, usage)
        if usage is not None and usage.output and not usage.estimated:
            metering.habits.saw(self.asked.model, usage.output)
        self._book(record)

    def _book_lost(self, usage: Usage | None = None) -> None:
        """What the attempt before may have cost is written down by itself; the request goes on."""
        last = self._attempts[-1] if self._attempts else None
        record = self._record(0 if last is None else last.status, "" if last is None else last.failure)
        record.id = f"{self.id}-{self._tries}"
        record.attempts = () if last is None else (last,)
        record.detail = {"attempt_of": self.id}
        self._bill(record, usage or self.asked.goes_in)
        self._is_owed = False
        self._book(record)
        self._release()

    def _record(self, status: int, failure: str) -> Record:
        """Of an answer of the account that was asked last."""
        metering, request, account = self._metering, self._request, self.account
        standing = metering.state.accounts.get(account.id) if account is not None else None
        return Record(
            id=self.id,
            time=self.time,
            client=request.client,
            method=request.method,
            endpoint=self.asked.endpoint,
            model=self.asked.model,
            account_id=account.id if account is not None else None,
            account=account.label if account is not None else None,
            domain=standing.domain if standing is not None else None,
            status=status,
            failure=failure,
            websocket=request.websocket,
            attempts=tuple(self._attempts),
            strategy=self.answered_by,
            session=self._session,
            duration_s=metering.clock.monotonic() - self.began,
            detail=self.detail,
        )

    def _bill(self, record: Record, usage: Usage | None) -> None:
        if usage is None:
            return
        is_estimated = usage.estimated
        cost = self._metering.cost(self.asked.model, usage)
        self.cost = usd = cost.usd
        record.usage, record.estimated, record.cost, record.priced = usage, is_estimated, usd, cost.known
        if usage.cached > 0 and not is_estimated:
            saved = self._metering.saved(self.asked.model, usage, usd)
            if saved > ZERO:
                record.detail["saved"] = f"{saved:f}"
        if (told := self._told) is not None:
            told["input_tokens"], told["output_tokens"], told["usd"] = usage.input, usage.output, float(usd)
            if is_estimated:
                told["estimated"] = 1

    def _book(self, record: Record) -> None:
        """Write it down, and put what it cost in the place of what was held."""
        metering = self._metering
        number = metering.book.record(record)
        hold, self._hold = self._hold, None
        if hold is None:
            if record.cost > ZERO and self.account is not None:
                keys = ("account", self.account.id), ("client", self._request.client)
                metering.spending.settle(metering.spending.reserve(keys, ZERO), record.cost, number)
            return
        metering.spending.settle(hold, record.cost, number)
        if self._reservation != record.id:
            metering.book.released(self._reservation)

    def _release(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            self._metering.spending.release(hold)
            self._metering.book.released(self._reservation)


def _not_booked(error: Exception) -> None:
    log.error("a request could not be booked: %s", type_and_place(error))  # a message may quote a body


class _NoTab(Tab):
    """Nothing is counted."""

    __slots__ = ()

    def __init__(self) -> None:
        self.id, self.need, self.cost, self.account = "", ZERO, ZERO, None
        self.received, self.is_stream = 0, False
        self.asked = Asked(endpoint="", is_free=True)
        self.is_closed = True

    def now(self) -> float:
        return 0.0

    def refusal(self) -> ErrorAnswer | None:
        return None

    def begin(self, account: Account, choice: Choice | None = None) -> None:
        pass

    def sent(self) -> None:
        pass

    def refused(self, status: int, failure: str = "", code: str = "") -> None:
        pass

    def broke(self, broken: Broken) -> None:
        pass

    def opened(self) -> None:
        pass

    def arrived(self, status: int) -> None:
        pass

    def given_up(self, failure: str, code: str = "", used: Used = NOTHING) -> None:
        pass

    def answered(self, answer: Answer, refusal: Refusal | None = None) -> None:
        pass

    def abandon(self, failure: str = GONE) -> None:
        pass

    def finish(
        self,
        failure: str = "",
        used: Used = NOTHING,
        *,
        status: int | None = None,
        first_byte: float | None = None,
        streamed: bool = False,
    ) -> None:
        pass


NO_TAB: Final[Tab] = _NoTab()
"""For when metering is off."""
