"""OpenAI's refusals in OpenAI's words.

The wording is what clients and this product read: codes, types and the "Please try again in 1.2s" that SDKs parse.
"""

from collections.abc import Iterable
from typing import Any

from codex_manager.testing.reply import Reply, json_reply


__all__ = [
    "duplicate_authorization", "error_reply", "incorrect_key", "invalid_json", "invalid_url", "masked", "method_not_allowed",
    "mismatched", "missing_key", "missing_parameter", "missing_scope", "model_missing", "seconds_text",
]  # fmt: skip

INVALID = "invalid_request_error"


def error_reply(
    status: int,
    message: str,
    *,
    type: str | None = INVALID,  # noqa: A002  # OpenAI's own field name
    code: str | None = None,
    param: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Reply:
    """One error object with the four fields every OpenAI error has."""
    error: dict[str, Any] = {"message": message, "type": type, "param": param, "code": code}
    return json_reply({"error": error}, status, headers)


def masked(key: str) -> str:
    """A key as OpenAI quotes it back: the ends, stars between."""
    return f"{key[:8]}{'*' * max(4, len(key) - 12)}{key[-4:]}" if len(key) > 16 else "*" * len(key)


def seconds_text(seconds: float) -> str:
    """A duration as OpenAI writes it in messages and x-ratelimit-reset-*: 120ms, 1.2s, 6m0s, 1h2m3s."""
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    hours, rest = divmod(round(seconds, 3), 3600)
    minutes, rest = divmod(rest, 60)
    tail = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{int(hours)}h{int(minutes)}m{tail}"
    return f"{int(minutes)}m{tail}" if minutes else tail


def missing_key() -> Reply:
    return error_reply(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
        "https://platform.openai.com/account/api-keys.",
    )


def incorrect_key(key: str) -> Reply:
    return error_reply(
        401,
        f"Incorrect API key provided: {masked(key)}. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def mismatched(what: str) -> Reply:
    """`what` is Organization or Project."""
    low = what.lower()
    return error_reply(401, f"OpenAI-{what} header should match {low} for API key", code=f"mismatched_{low}")


def missing_scope(scope: str) -> Reply:
    """403 to a key of the wrong kind."""
    message = (
        f"You have insufficient permissions for this operation. Missing scopes: {scope}. Check that you have the correct role in "
        "your organization, and if you're using a restricted API key, that it has the necessary scopes."
    )
    return error_reply(403, message, code="insufficient_permissions")


def duplicate_authorization() -> Reply:
    return error_reply(400, "Request carries more than one Authorization header.")


def invalid_url(method: str, path: str) -> Reply:
    return error_reply(404, f"Invalid URL ({method} {path})")


def method_not_allowed(method: str, path: str) -> Reply:
    return error_reply(
        405,
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
        code="method_not_supported",
    )


def invalid_json() -> Reply:
    return error_reply(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
        "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
        "figuring out how to fix this, please contact us through our help center at help.openai.com.)",
    )


def missing_parameter(name: str) -> Reply:
    return error_reply(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def model_missing(model: str) -> Reply:
    return error_reply(
        404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
    )
