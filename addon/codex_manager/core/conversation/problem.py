"""Errors in a body, in each of the shapes the API has for them."""

from typing import Any

from codex_manager.core.conversation.model import Problem
from codex_manager.core.conversation.values import label, mapping, text


__all__ = ["problem_of"]


def problem_of(body: dict[str, Any]) -> Problem | None:
    """`{"error": {…}}`, `{"error": "…"}`, an event `error` with its fields beside its type, or a response that failed."""
    error = body.get("error")
    if error is None and body.get("type") == "error":
        error = body
    if isinstance(error, str) and error:
        return Problem(text(error))
    if not isinstance(error, dict) or not error:
        return None
    kind = label(error.get("type"))
    return Problem(
        message=text(error.get("message")),
        type="" if error is body else kind,
        code=label(error.get("code")),
        param=label(mapping(error).get("param")),
    )
