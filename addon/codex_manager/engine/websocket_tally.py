"""What a Realtime session costs: a tab for each answer, and the limits asked before one is begun.

An answer is asked for by the client (`response.create`), or given by the model to what it heard; either way the upstream
says `response.created` and, with what it used, `response.done`. What was heard is written down by another model, which
bills by itself. Each answer takes in the whole conversation again, so the next one costs about what the last one did,
or more.

Law: once there is no money for another answer nothing that asks for one goes through, and no sound, to which the model
would answer by itself; an error event says so, once for all sound, and the session stays.
"""

import json

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codex_manager.core.account import Account
from codex_manager.core.openai_error import ErrorAnswer
from codex_manager.core.pricing import ZERO
from codex_manager.core.socket_events import Event, asks_for_answer, brings_sound
from codex_manager.core.usage import Usage
from codex_manager.engine.asking import Asked
from codex_manager.engine.delivery import own_answer
from codex_manager.engine.tab import NO_TAB, Tab, Used
from codex_manager.engine.websocket_frames import Message


if TYPE_CHECKING:
    from codex_manager.engine.websocket_session import Session


__all__ = ["Tally", "realtime_asked"]

FIRST_TOKENS = 1000
"""Instructions, tools and a sentence or two."""
MOST_UNDER_WAY = 64
"""Answers at a time; a conversation has one, beside it there may be some outside of it."""


def realtime_asked(model: str | None, tokens: int = FIRST_TOKENS, most: int | None = None) -> Asked:
    """An answer in a session whose conversation has this many tokens."""
    return Asked(endpoint="realtime", model=model, tokens=tokens, is_billed=True, talks=True, most=most)


class _Answering:
    """One answer under way."""

    __slots__ = ("audio", "first", "tab", "tokens")

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.tokens = self.audio = 0
        self.first: float | None = None


class Tally:
    """See the module's docstring. Mutable state: answers asked for, answers begun, and the size of the conversation."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.transcriber = ""
        """The model that writes down what is heard, as the session said."""
        self._model: str | None = session.facts.model
        self._asked_for: deque[Tab] = deque()
        self._begun: dict[str, _Answering] = {}
        self._tokens = FIRST_TOKENS
        self._last_cost = ZERO
        self._is_deaf = False
        self._errors = 0

    # --- from the client ---

    def said(self, text: str) -> tuple[Message, ...] | None:
        """None for a frame that goes through; for one that must not, what the client gets instead."""
        if not self._session.metering.is_on:
            return None
        asks = asks_for_answer(text)
        if asks is not None:
            most, event_id = asks
            tab = self._tab(most)
            refusal = self._refusal(tab)
            if refusal is not None:
                tab.answered(own_answer(refusal))
                return (self._error(refusal, event_id),)
            tab.begin(self._session.link.account)
            tab.sent()
            self._asked_for.append(tab)
            if len(self._asked_for) > MOST_UNDER_WAY:
                self._asked_for.popleft().finish("", Used(), status=200)
        elif brings_sound(text):
            refusal = self._refusal(None)
            was_deaf, self._is_deaf = self._is_deaf, refusal is not None
            if refusal is not None:
                return () if was_deaf else (self._error(refusal, None),)
        return None

    def moved(self, account: Account) -> None:
        """What was asked for is asked again of another account."""
        for tab in self._asked_for:
            tab.begin(account)
            tab.sent()

    # --- from the upstream ---

    def heard(self, event: Event) -> None:
        """An event of the upstream's."""
        if not self._session.metering.is_on and not self._begun and not self._asked_for:
            return
        kind, name = event.kind, event.response_id
        if kind.startswith("session."):
            self._model = event.model or self._model
            self.transcriber = event.transcriber or self.transcriber
        elif kind == "response.created" and name is not None:
            self._begin(name)
        elif kind == "response.done":
            self._done(name, event)
        elif event.tokens or event.audio_tokens:
            answering = self._begun.get(name or "")
            if answering is not None:
                answering.tokens += event.tokens
                answering.audio += event.audio_tokens
                answering.first = answering.first or answering.tab.now()
        elif event.verdict is not None:
            if self._asked_for:
                self._asked_for.popleft().finish(event.verdict.failure.value, Used(), status=0)
        elif event.usage is not None:
            self._wrote_down(event.usage)

    def end(self, failure: str) -> None:
        """The socket has ended: what was under way cost what passed by."""
        for answering in list(self._begun.values()):
            self._finish(answering, failure, None)
        self._begun.clear()
        while self._asked_for:
            tab = self._asked_for.popleft()
            tab.finish(failure, Used(usage=tab.asked.goes_in), status=0)

    # --- inside ---

    def _tab(self, most: int | None = None, model: str | None = None) -> Tab:
        tab = self._session.open_tab(realtime_asked(model or self._model, self._tokens, most))
        if tab is not NO_TAB:
            tab.need = max(tab.need, self._last_cost)
        return tab

    def _refusal(self, tab: Tab | None) -> ErrorAnswer | None:
        session = self._session
        metering = session.metering
        need = (
            max(metering.need(realtime_asked(self._model, self._tokens)), self._last_cost) if tab is None else tab.need
        )
        error = metering.refusal(session.client, self._model, need)
        if error is not None:
            return error
        return session.beyond_limit(replace(session.facts, model=self._model, need=need))

    def _begin(self, name: str) -> None:
        if len(self._begun) >= MOST_UNDER_WAY:
            self._finish(self._begun.pop(next(iter(self._begun))), "", None)
        if self._asked_for:
            tab = self._asked_for.popleft()
        else:
            tab = self._tab()
            tab.begin(self._session.link.account)
            tab.sent()
        self._begun[name] = _Answering(tab)

    def _done(self, name: str | None, event: Event) -> None:
        answering = self._begun.pop(name or "", None)
        if answering is None:
            return
        failure = "" if event.verdict is None else event.verdict.failure.value
        self._finish(answering, failure, event.usage)
        if event.usage is not None:
            self._tokens = max(event.usage.total, 1)
            self._last_cost = answering.tab.cost

    def _finish(self, answering: _Answering, failure: str, usage: Usage | None) -> None:
        tab = answering.tab
        if usage is None and (answering.tokens or answering.audio or not failure):
            usage = replace(tab.asked.goes_in, output=answering.tokens + answering.audio, output_audio=answering.audio)
        tab.finish(failure, Used(usage=usage), status=200, first_byte=answering.first, streamed=True)

    def _wrote_down(self, usage: Usage) -> None:
        asked = Asked(endpoint="realtime", model=usage.model or None)
        tab = self._session.open_tab(asked)
        tab.begin(self._session.link.account)
        tab.finish("", Used(usage=usage), status=200)

    def _error(self, refusal: ErrorAnswer, event_id: str | None) -> Message:
        """As OpenAI says it in a session."""
        self._errors += 1
        frame: dict[str, Any] = {
            "type": "error",
            "event_id": f"event_codex_manager_{self._errors}",
            "error": {**json.loads(refusal.body)["error"], "event_id": event_id},
        }
        return Message(json.dumps(frame))
