"""An attempt that ended without an answer, and the answer the client gets for it when nothing else is tried."""

from codex_manager.core.endpoint import Replay
from codex_manager.core.failure import FailureClass, Final, Mark, Rule, Verdict
from codex_manager.core.openai_error import UPSTREAM_UNREACHABLE, ErrorAnswer
from codex_manager.engine.transport import Phase, TransportError, Trouble


__all__ = ["Broken"]

RESET_READ = Rule(mark=Mark.BREAKER, same_tries=1, breaker_weight=1.0, final=Final.GATEWAY)
"""A read whose connection was reset, mostly a pooled one gone stale, is sent once more (RFC 9112 §9.3.1): reading twice
does no harm. What timed out is not, because the client would wait twice as long."""


WHOSE_FAULT = "`codex-manager status` tells whether the cause is OpenAI, this account or your network."


class Broken:
    """What `engine.kept.KeptError` is for an answer, this is for none."""

    __slots__ = ("error", "known_shut", "verdict")

    def __init__(self, error: TransportError, *, known_shut: bool) -> None:
        self.error = error
        self.known_shut = known_shut
        """The way there was under a cloud before this attempt."""
        was_sent = error.phase is Phase.SENT
        self.verdict = Verdict(failure=FailureClass.AMBIGUOUS if was_sent else FailureClass.PRE_DISPATCH)

    @property
    def was_stale(self) -> bool:
        """A pooled connection was reset: that says nothing about the account or the way there."""
        return self.error.reused and self.error.trouble is Trouble.RESET

    def rule_for(self, replay: Replay) -> Rule:
        """What follows from it for a request of this kind."""
        if self.verdict.failure is FailureClass.AMBIGUOUS and self.error.trouble is Trouble.RESET and replay == "read":
            return RESET_READ
        return self.verdict.rule

    def answer(self) -> ErrorAnswer:
        """502, or 504 where time ran out or the request may have been processed."""
        text = str(self.error)
        text = f"{text[0].upper()}{text[1:]}."
        if self.verdict.failure is FailureClass.AMBIGUOUS:
            text += " It may have been processed, so it was not sent again."
        late = self.verdict.failure is FailureClass.AMBIGUOUS or self.error.trouble is Trouble.TIMEOUT
        cure = WHOSE_FAULT if self.verdict.failure is FailureClass.AMBIGUOUS else None
        return ErrorAnswer.of(UPSTREAM_UNREACHABLE, text, status=504 if late else None, cure=cure)
