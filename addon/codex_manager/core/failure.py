"""What a failed attempt means, and what may be done about it: the whole of semantics §3 in two tables.

`classify` says which class a refusal belongs to; `RULES` says what follows. The engine adds the classes only it can
see: PRE_DISPATCH, AMBIGUOUS, MID_STREAM, NEUTRAL (what happened to a connection) and EGRESS_LIMIT across organizations.

How a class is found: the body before the status, because OpenAI uses one status for several things (429 is a rate or an
empty purse; 404 a model, a file or a mistyped path) and sends errors inside a 200. Within the body `code` decides before
`type`, `type` before the message. Words that only repeat the status in general terms (`server_error`,
`invalid_request_error`) decide nothing while a status is there to speak for itself. A message is believed only with the
statuses it comes with, and for 400, where it may echo the caller's own text, only from its beginning.

How to read a rule. First `same_tries` more tries with the same account, each after a pause of `backoff_s` or of the
upstream's own hint if that is longer; then up to `other_tries` tries elsewhere, where `move` says how far away
"elsewhere" must be; never when `may_replay` says no, never beyond the budgets of the engine. When nothing is left,
`final` says which answer the client gets.

Law: pure; `classify` is total and never raises; nothing here knows accounts or time.
"""

import re

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from codex_manager.core.endpoint import Replay
from codex_manager.core.hints import is_per_day
from codex_manager.core.upstream_error import UpstreamError, error_of, read_error


__all__ = ["RULES", "FailureClass", "Final", "Mark", "Move", "Rule", "Verdict", "classify", "classify_event"]


class FailureClass(StrEnum):
    """The rows of semantics §3."""

    RATE = "rate"
    BILLING = "billing"
    AUTH = "auth"
    MODEL_ACCESS = "model_access"
    CALLER = "caller"
    OWNER_MISS = "owner_miss"
    ORIGIN_MISS = "origin_miss"
    OVERLOAD = "overload"
    TRANSIENT = "transient"
    PRE_DISPATCH = "pre_dispatch"
    AMBIGUOUS = "ambiguous"
    MID_STREAM = "mid_stream"
    EGRESS_LIMIT = "egress_limit"
    NEUTRAL = "neutral"


class Mark(StrEnum):
    """What an attempt's failure is held against."""

    NOTHING = "nothing"
    SCOPE = "scope"
    """(domain, model) cools, core.hints says how long."""
    ORGANIZATION = "organization"
    """The organization is blocked, or only the project (`Verdict.project_only`)."""
    ACCOUNT = "account"
    """The account is `auth_failed`."""
    MODEL = "model"
    """(account, model) is left out for an hour."""
    WEATHER = "weather"
    """The model is overloaded for everybody; no account is to blame."""
    BREAKER = "breaker"
    """A sample of `breaker_weight` for the account's breaker."""
    EGRESS = "egress"
    """This machine's path to OpenAI."""


class Move(StrEnum):
    """How far from the account that failed the next one must be."""

    NONE = "none"
    ACCOUNT = "account"
    DOMAIN = "domain"
    ORGANIZATION = "organization"
    UPSTREAM = "upstream"
    """An account whose base URL differs: nothing is known against the account, only against the way there."""


class Final(StrEnum):
    """What the client gets when nothing more is tried."""

    VERBATIM = "verbatim"
    """This answer, unchanged."""
    FIRST = "first"
    """The first answer of this class, unchanged: it came from the account that was the best choice."""
    BLOCKED = "blocked"
    """Our own answer about all accounts together (semantics §3, "All blocked")."""
    GATEWAY = "gateway"
    """Our own 502, or 504 for a timeout: there is no answer to hand on."""
    CUT = "cut"
    """The connection is aborted so that the cut is seen."""
    NOTHING = "nothing"
    """Nobody is there to get an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What follows from a class of failure. See the module's docstring."""

    mark: Mark
    move: Move = Move.NONE
    same_tries: int = 0
    other_tries: int | None = 0
    """None: as many as the budgets allow."""
    backoff_s: tuple[float, float] = (0.0, 0.0)
    """The pause before a try with the same account is drawn from this range. Moving on waits for nothing."""
    replays_state_creating: bool = False
    """The upstream refused before it did anything, so even a call that creates something may be sent again."""
    asks_permission: bool = False
    """Only with `ambiguous_replay: stateless`: the upstream may have done the work."""
    breaker_weight: float = 0.0
    final: Final = Final.VERBATIM

    def may_replay(self, replay: Replay, *, ambiguous_allowed: bool = False) -> bool:
        """Whether a request of this kind may be sent once more after such a failure."""
        if self.asks_permission and not ambiguous_allowed:
            return False
        if replay == "state_creating" and not self.replays_state_creating:
            return False
        return self.same_tries > 0 or self.other_tries != 0


_C = FailureClass

RULES: dict[FailureClass, Rule] = {
    _C.RATE: Rule(mark=Mark.SCOPE, move=Move.DOMAIN, other_tries=None, replays_state_creating=True, final=Final.BLOCKED),
    _C.BILLING: Rule(mark=Mark.ORGANIZATION, move=Move.ORGANIZATION, other_tries=None, replays_state_creating=True, final=Final.BLOCKED),
    _C.AUTH: Rule(mark=Mark.ACCOUNT, move=Move.ACCOUNT, other_tries=None, replays_state_creating=True, final=Final.BLOCKED),
    _C.MODEL_ACCESS: Rule(mark=Mark.MODEL, move=Move.ACCOUNT, other_tries=None, replays_state_creating=True, final=Final.FIRST),
    _C.CALLER: Rule(mark=Mark.NOTHING),
    # Only while nobody knows whose it is (engine.ownership); what was refused so has changed nothing.
    _C.OWNER_MISS: Rule(mark=Mark.NOTHING, move=Move.DOMAIN, other_tries=None, replays_state_creating=True, final=Final.FIRST),
    _C.ORIGIN_MISS: Rule(mark=Mark.NOTHING, move=Move.DOMAIN, other_tries=1, replays_state_creating=True),
    _C.OVERLOAD: Rule(mark=Mark.WEATHER, move=Move.ACCOUNT, same_tries=1, other_tries=1, backoff_s=(0.5, 1.0)),
    _C.TRANSIENT: Rule(mark=Mark.BREAKER, move=Move.ACCOUNT, other_tries=1, breaker_weight=1.0),
    # One fresh connection; then only accounts that live elsewhere can be reached any better.
    _C.PRE_DISPATCH: Rule(mark=Mark.EGRESS, move=Move.UPSTREAM, same_tries=1, other_tries=None, replays_state_creating=True, final=Final.GATEWAY),
    _C.AMBIGUOUS: Rule(mark=Mark.BREAKER, move=Move.ACCOUNT, other_tries=1, asks_permission=True, breaker_weight=1.0, final=Final.GATEWAY),
    _C.MID_STREAM: Rule(mark=Mark.BREAKER, breaker_weight=0.5, final=Final.CUT),
    _C.EGRESS_LIMIT: Rule(mark=Mark.EGRESS),
    _C.NEUTRAL: Rule(mark=Mark.NOTHING, final=Final.NOTHING),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The class of a refusal with what was read from it. Safe to log: keys in the texts are masked."""

    failure: FailureClass
    code: str = ""
    type: str = ""
    message: str = ""
    is_openai_body: bool = False
    organization: str | None = None
    """The `org-…` a rate-limit text names; the `openai-organization` header may hold a name instead of this id."""
    project_only: bool = False
    """BILLING: only the project's money is used up, the organization's other projects may go on."""
    per_day: bool = False
    """The message speaks of a daily limit, so its hint may be of hours."""
    oversized: bool = False
    """RATE: this one request is larger than the account's limit a minute; waiting does not help it, smaller ones fit."""

    @property
    def rule(self) -> Rule:
        return RULES[self.failure]


_CODES: dict[FailureClass, frozenset[str]] = {
    _C.RATE: frozenset({
        "rate_limit_exceeded", "rate_limit_error", "rate_limit_reached", "slow_down", "too_many_requests", "requests",
        "tokens", "requests_per_minute", "tokens_per_minute", "requests_per_day", "tokens_per_day",
    }),
    _C.BILLING: frozenset({
        "insufficient_quota", "credit_balance_exhausted", "organization_usage_limit_exceeded", "project_usage_limit_exceeded",
        "billing_hard_limit_reached", "billing_not_active", "billing_error", "quota_exceeded", "insufficient_credits",
    }),
    # A mismatched organization is one of the account's settings, not of the client's: the engine puts its own
    # OpenAI-Organization on every request. Until the account is edited it cannot serve; another can.
    _C.AUTH: frozenset({
        "invalid_api_key", "authentication_error", "invalid_authentication", "mismatched_organization", "mismatched_project",
        "invalid_organization", "invalid_project", "not_authorized_invalid_project", "account_deactivated", "access_terminated",
        "api_key_disabled", "api_key_expired", "api_key_revoked", "token_expired", "token_revoked", "token_invalidated",
        "ip_not_authorized",
    }),
    _C.MODEL_ACCESS: frozenset({
        "model_not_found", "model_not_available", "deployment_not_found", "deploymentnotfound", "permission_error",
        "permission_denied", "missing_scope", "missing_scopes", "insufficient_permissions",
    }),
    # The country is refused to this machine's address, whichever account asks.
    _C.CALLER: frozenset({
        "context_length_exceeded", "content_policy_violation", "content_filter", "moderation_blocked", "invalid_prompt",
        "unsupported_country_region_territory", "unsupported_country", "string_above_max_length", "data_residency_mismatch",
        "unknown_url", "url_not_found",
    }),
    _C.ORIGIN_MISS: frozenset({"invalid_encrypted_content"}),
    _C.OVERLOAD: frozenset({
        "server_is_overloaded", "overloaded_error", "overloaded", "engine_overloaded", "engine_overloaded_error",
        "model_overloaded", "service_unavailable_error",
    }),
}  # fmt: skip
_CLASS_OF_WORD = {word: failure for failure, words in _CODES.items() for word in words}

_CLASS_OF_WORD_LIKE: tuple[tuple[re.Pattern[str], FailureClass], ...] = (
    (re.compile(r"\w+_spend_limit_exceeded"), _C.BILLING),
    (re.compile(r"\w+_deactivated"), _C.AUTH),
    (re.compile(r"\w+_policy(?:_violation)?"), _C.CALLER),
    (re.compile(r"\w+_not_found"), _C.OWNER_MISS),
)
"""Families of codes, matched whole, after `_CODES`."""

_MESSAGES: tuple[tuple[frozenset[int], re.Pattern[str], FailureClass], ...] = (
    (frozenset({200, 402, 403, 429}), re.compile(r".*(?:exceeded your current quota|check your plan and billing|billing hard limit|check your billing details|credit balance|spend limit)"), _C.BILLING),
    (frozenset({401, 403}), re.compile(r".*(?:insufficient permissions|missing scopes?)"), _C.MODEL_ACCESS),
    (frozenset({200, 401, 403}), re.compile(r".*(?:(?:incorrect|invalid) api key|api key .*(?:revoked|expired|disabled)|account .*deactivated)"), _C.AUTH),
    (frozenset({403}), re.compile(r".*country, region, or territory not supported"), _C.CALLER),
    (frozenset({200, 400, 403, 404}), re.compile(r"(?:the model \S{1,200} (?:does not exist|has been deprecated)|(?:the |your )?(?:project|organization)\b.{0,200}?does not have access to (?:the )?model|your organization must be verified|you (?:do not have access to|are not allowed to sample from) (?:the |this )?model)"), _C.MODEL_ACCESS),
    (frozenset({404}), re.compile(r"(?:invalid url|unknown request url)"), _C.CALLER),
    (frozenset({400}), re.compile(r"(?:the |your )?encrypted content\b.*could not be (?:verified|decrypted|parsed)"), _C.ORIGIN_MISS),
    (frozenset({200, 429, 500, 502, 503, 504}), re.compile(r".*(?:currently overloaded|is overloaded|is at capacity)"), _C.OVERLOAD),
    (frozenset({200, 429}), re.compile(r".*rate limit (?:reached|exceeded)"), _C.RATE),
)  # fmt: skip
"""(statuses it comes with, lower-case text, class); status 200 stands for an error inside a stream."""

_VAGUE = {"server_error", "internal_server_error", "internal_error", "api_error", "timeout", "timeout_error"}
"""Words that mean no more than a 5xx does; they count where there is no status, inside a 200."""

_CLASS_OF_STATUS = {401: _C.AUTH, 402: _C.BILLING, 503: _C.OVERLOAD, 529: _C.OVERLOAD}  # 529 is "overloaded" elsewhere

_OPENAI_HEADERS = (
    "openai-organization",
    "openai-processing-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
)
"""Sent by OpenAI's own servers, not by the edge in front: they vouch for a HEAD's empty body or one we cannot decode."""

_ORGANIZATION = re.compile(r"\borganization\W{1,3}(org-[A-Za-z0-9]{1,64})", re.IGNORECASE)
_OVERSIZED = re.compile(r"request too large|input or output tokens must be reduced")


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """What an answer that is not 2xx means. `headers` have lower-case names; `body` is decoded, 64 KiB are read."""
    error = read_error(body)
    vouched = error.is_openai or any(name in headers for name in _OPENAI_HEADERS)
    return _verdict(_class_of(status, error, vouched=vouched), error)


def classify_event(event: Any) -> Verdict | None:
    """What a stream event or WebSocket frame means that reports a failure inside a 200; None if it reports none."""
    if not isinstance(event, dict):
        return None
    kind = event.get("type")
    if kind is not None and (not isinstance(kind, str) or kind not in {"error", "response.failed"}):
        return None
    error = error_of(event)
    return _verdict(_class_of(error.status or 200, error, vouched=True), error) if error.is_openai else None


def _class_of(status: int, error: UpstreamError, *, vouched: bool) -> FailureClass:
    if error.is_openai:
        for word in (error.code, error.type):
            if (found := _by_word(word)) is not None:
                return found
        text = error.message.lower()
        for statuses, pattern, failure in _MESSAGES:
            if status in statuses and pattern.match(text):
                return failure
    if status == 429:
        return _C.RATE if vouched else _C.EGRESS_LIMIT
    if status == 403 and error.is_openai:
        return _C.MODEL_ACCESS
    if status == 404 and error.is_openai:
        return _C.OWNER_MISS
    if status < 400 and error.is_openai and {_word(error.code), _word(error.type)} & _VAGUE:
        return _C.TRANSIENT
    return _CLASS_OF_STATUS.get(status, _C.TRANSIENT if status >= 500 else _C.CALLER)


def _by_word(word: str) -> FailureClass | None:
    word = _word(word)
    if (found := _CLASS_OF_WORD.get(word)) is not None:
        return found
    return next((failure for pattern, failure in _CLASS_OF_WORD_LIKE if pattern.fullmatch(word)), None)


def _word(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


def _verdict(failure: FailureClass, error: UpstreamError) -> Verdict:
    text = error.message.lower()
    organization = _ORGANIZATION.search(error.message)
    return Verdict(
        failure=failure,
        code=error.code,
        type=error.type,
        message=error.message,
        is_openai_body=error.is_openai,
        organization=organization[1] if organization else None,
        project_only=failure is _C.BILLING and error.code.lower().startswith("project_"),
        per_day=is_per_day(text) or is_per_day(error.code.lower()),
        oversized=failure is _C.RATE and _OVERSIZED.search(text) is not None,
    )
