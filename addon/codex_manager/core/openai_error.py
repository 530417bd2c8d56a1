"""Errors of our own, worded and shaped as OpenAI words and shapes its errors, so that every SDK raises the right one.

What SDKs read (openai-python and openai-node, `_make_status_error` and `_should_retry`): the status picks the exception
class, `error.message|type|code|param` become its attributes, `x-should-retry` decides about a retry before the status
does, `retry-after-ms` and `Retry-After` say when. Codex waits for the "try again in N.NNNs" of the message text. So an
error about time carries all three, with the same number.

Law: the message says what happened and what to do, in one or two sentences, and never contains a secret.
"""

import json
import math

from dataclasses import dataclass


__all__ = [
    "ACCOUNT_CONFLICT",
    "ADVICE",
    "INSUFFICIENT_QUOTA",
    "INVALID_API_KEY",
    "MODEL_NOT_ALLOWED",
    "NO_AVAILABLE_ACCOUNTS",
    "NO_USABLE_ACCOUNT",
    "RATE_LIMIT_EXCEEDED",
    "REQUEST_TOO_LARGE",
    "UPSTREAM_UNREACHABLE",
    "VAULT_LOCKED",
    "ErrorAnswer",
    "error_body",
    "retry_headers",
    "try_again_in",
]

INVALID_API_KEY = "invalid_api_key"
NO_AVAILABLE_ACCOUNTS = "no_available_accounts"
NO_USABLE_ACCOUNT = "no_usable_account"
VAULT_LOCKED = "vault_locked"
UPSTREAM_UNREACHABLE = "upstream_unreachable"
REQUEST_TOO_LARGE = "request_too_large"
MODEL_NOT_ALLOWED = "model_not_allowed"
ACCOUNT_CONFLICT = "account_conflict"
# Two of OpenAI's own codes, for the states it has a code for.
RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
INSUFFICIENT_QUOTA = "insufficient_quota"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is the same about every error with one code."""

    status: int
    type: str
    """The `type` OpenAI gives errors of this status; no SDK decides by it, people read it."""
    cure: str
    """What the reader can do, a sentence that follows the one about what happened."""
    should_retry: bool | None = None
    """Value of `x-should-retry`; None leaves the decision to the client's own rule for the status."""


ADVICE: dict[str, Advice] = {
    INVALID_API_KEY: Advice(401, "invalid_request_error", "Send the local key of codex-manager as the API key: `codex-manager config get proxy.api_key --reveal` shows it, `codex-manager keys add NAME` makes another."),
    NO_AVAILABLE_ACCOUNTS: Advice(503, "server_error", "Add an account: `codex-manager add LABEL`.", should_retry=False),
    NO_USABLE_ACCOUNT: Advice(403, "invalid_request_error", "`codex-manager list` shows the accounts; `codex-manager edit LABEL` changes a key, `codex-manager enable LABEL` lets an account serve again.", should_retry=False),
    VAULT_LOCKED: Advice(503, "server_error", "Unlock it with `codex-manager vault unlock`.", should_retry=False),
    UPSTREAM_UNREACHABLE: Advice(502, "server_error", "Check the network, `proxy.openai_base_url` and `upstream.proxy`; no account is the cause."),
    REQUEST_TOO_LARGE: Advice(413, "invalid_request_error", "Send a smaller request, or raise the `limits` in the configuration."),
    MODEL_NOT_ALLOWED: Advice(403, "invalid_request_error", "`codex-manager list` shows each account's models; `codex-manager edit LABEL --models …` changes them.", should_retry=False),
    ACCOUNT_CONFLICT: Advice(409, "invalid_request_error", "Use things of one account only in one request.", should_retry=False),
    RATE_LIMIT_EXCEEDED: Advice(429, "requests", "", should_retry=True),
    INSUFFICIENT_QUOTA: Advice(429, "insufficient_quota", "Check the plan and billing of the accounts, or add another with `codex-manager add LABEL`.", should_retry=False),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """A whole answer of our own: status, headers and body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    code: str = ""
    """One of the codes above, or a word of ours for the records where the body has none."""

    @classmethod
    def of(
        cls,
        code: str,
        message: str,
        *,
        status: int | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        cure: str | None = None,
    ) -> "ErrorAnswer":
        """The answer for one of the codes in `ADVICE`: `message` says what happened, the cure is added to it.

        `status` overrides the code's own (504 for an upstream that took too long). `retry_after_s` puts the time
        into the message and both headers. `cure` takes the place of the code's own where more is known.
        """
        advice = ADVICE[code]
        time = try_again_in(retry_after_s) if retry_after_s is not None else ""
        sentences = [message.strip(), time, advice.cure if cure is None else cure]
        body = error_body(" ".join(s for s in sentences if s), type=advice.type, code=code, param=param)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if retry_after_s is not None:
            headers += retry_headers(retry_after_s)
        if advice.should_retry is not None:
            headers.append((b"x-should-retry", b"true" if advice.should_retry else b"false"))
        return cls(status=status or advice.status, headers=tuple(headers), body=body, code=code)


def error_body(message: str, *, type: str, code: str | None, param: str | None = None) -> bytes:  # noqa: A002 - OpenAI's field name
    """`{"error": {...}}` with the keys in OpenAI's order."""
    error = {"message": message, "type": type, "param": param, "code": code}
    return json.dumps({"error": error}, ensure_ascii=False, indent=2).encode("utf-8", "replace")


def try_again_in(seconds: float) -> str:
    """The sentence clients look for; Codex reads number and unit (s, ms, seconds) after `try again in`."""
    return f"Please try again in {_milliseconds(seconds) / 1000:.3f}s."


def retry_headers(seconds: float) -> list[tuple[bytes, bytes]]:
    """`Retry-After` in whole seconds and `retry-after-ms`, both rounded up so that nobody comes early."""
    milliseconds = _milliseconds(seconds)
    return [
        (b"retry-after", str(-(-milliseconds // 1000)).encode()),
        (b"retry-after-ms", str(milliseconds).encode()),
    ]


def _milliseconds(seconds: float) -> int:
    return math.ceil(round(max(seconds, 0.0) * 1000, 3))  # a microsecond of float noise is not a millisecond
