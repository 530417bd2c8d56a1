"""What of a request decides its price, and the request that asks for a stream's usage where its client did not.

Knows the paths whose answers cost something. Law: the client's body is never written anew; a few bytes are put into it
or it goes out as it came.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from codex_manager.core import tokens
from codex_manager.core.body import BodyFacts
from codex_manager.core.endpoint import Endpoint, describe, name_of
from codex_manager.core.metering import NO_UNITS, Units, estimated, meter_for, request_units
from codex_manager.core.stream_usage import inject
from codex_manager.core.usage import Usage
from codex_manager.engine.messages import Request


__all__ = ["Asked", "asked_of", "asking_for_usage"]

TALKS: Final = frozenset({
    "chat/completions", "completions", "responses", "responses/compact", "threads/runs", "audio/transcriptions",
    "audio/translations",
})  # fmt: skip
"""Endpoints whose answers are text of some length."""
SILENT: Final = frozenset({"/v1/chat/completions", "/v1/completions"})
"""Their streams tell what they used only when they are asked to."""


@dataclass(slots=True, kw_only=True)
class Asked:
    """What of a request decides its price. Never changed; not frozen because one is made with every request."""

    path: Endpoint | None = None
    endpoint: str
    """Its name, without ids."""
    model: str | None = None
    tokens: int = 0
    """Of the input, about."""
    units: Units = NO_UNITS
    is_billed: bool = False
    """The answer will cost something."""
    is_free: bool = False
    """It certainly costs nothing; what is neither is not known to cost anything."""
    talks: bool = False
    """The answer is text."""
    most: int | None = None
    """Tokens of output asked for; None leaves it to what the model mostly says."""
    goes_on: bool = False
    """The upstream goes on with it when we have left."""

    @property
    def goes_in(self) -> Usage:
        """What is used if nothing comes out."""
        return self.comes_to(0)

    def comes_to(self, output: int) -> Usage:
        """What is used if this much comes out."""
        return estimated(self.tokens, output, units=self.units, model=self.model or "")


def asked_of(
    method: str,
    endpoint: Endpoint,
    said: BodyFacts,
    body: bytes,
    headers: Mapping[str, str],
    *,
    estimate: int | None = None,
) -> Asked:
    """`headers` have lower-case names; `body` is empty when it is not at hand; `estimate`: its tokens, when they are known."""
    name, costs, talks = _what_is(method, endpoint.path)
    if not costs:
        is_free = endpoint.replay == "read" or method == "DELETE" or costs is False
        return Asked(path=endpoint, endpoint=name, model=said.model, is_free=is_free)
    content_type = headers.get("content-type")
    return Asked(
        path=endpoint,
        endpoint=name,
        model=said.model,
        tokens=tokens.estimate(body, content_type=content_type) if estimate is None else estimate,
        units=NO_UNITS if "content-encoding" in headers else request_units(endpoint, content_type, body),
        is_billed=True,
        talks=talks,
        most=said.max_output_tokens,
        goes_on=said.background,
    )


@lru_cache(maxsize=256)
def _what_is(method: str, path: str) -> tuple[str, bool | None, bool]:
    """Its name; whether its answers cost something: False where they tell what something made earlier did, None where
    nobody knows; and whether they are text.
    """
    name, meter = name_of(path), meter_for(describe(method, path), None)
    return name, None if meter is None else not meter.settles, name in TALKS


def asking_for_usage(
    request: Request, endpoint: Endpoint, said: BodyFacts, headers: Mapping[str, str], mode: str
) -> Request | None:
    """The request that asks for its stream's usage; None when it does already, or cannot be made to."""
    body = request.body
    if mode != "inject" or not said.stream or endpoint.path not in SILENT or not isinstance(body, bytes):
        return None
    if (
        headers.get("content-encoding", "identity") != "identity"
        or (asking := inject(body, streams=said.stream, options=said.stream_options)) is None
    ):
        return None
    # What is compressed nothing can be taken out of.
    plain = tuple(
        (name, b"identity" if name.lower() == b"accept-encoding" else value) for name, value in request.headers
    )
    return replace(request, body=asking, headers=plain)
