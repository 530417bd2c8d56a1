"""What the gate says when it does not let a request in: one sentence with its cure, in OpenAI's shape.

Law: a refusal never repeats what the request carried; a key sent by mistake must not come back in an error text.
"""

from dataclasses import dataclass

from codex_manager.core.openai_error import error_body
from codex_manager.engine.messages import Headers


__all__ = ["Refusal", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A complete answer; `code` is kept for log lines and tests."""

    status: int
    code: str
    body: bytes
    headers: Headers = ()


def refuse(status: int, code: str, message: str, *, headers: Headers = ()) -> Refusal:
    """Refuse with one sentence. OpenAI gives every refusal of this kind the type `invalid_request_error`."""
    return Refusal(
        status=status,
        code=code,
        body=error_body(message, type="invalid_request_error", code=code),
        headers=headers,
    )
