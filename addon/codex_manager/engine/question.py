"""What is known of a request before anybody is asked: the facts a decision needs, whether it can be sent again, its tab.

Law: worked out at once and once, from the request's head and from a body that is at hand; a body that can be read only once is
not touched.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from codex_manager.core import tokens
from codex_manager.core.body import LARGEST_DECODED as LARGEST
from codex_manager.core.body import facts as body_facts
from codex_manager.core.endpoint import Endpoint, Replay, describe
from codex_manager.core.resources import References, references
from codex_manager.core.routing import Choice, Facts
from codex_manager.core.session import session_key, told_key
from codex_manager.engine.asking import asked_of, asking_for_usage
from codex_manager.engine.decode import decoded
from codex_manager.engine.identity import lower_headers
from codex_manager.engine.kept import KeptError
from codex_manager.engine.messages import Request
from codex_manager.engine.tab import NO_TAB, Tab


if TYPE_CHECKING:
    from codex_manager.engine.engine import Engine


__all__ = ["OnceBody", "Question", "plain_body", "question"]


class OnceBody:
    """A body that can be read once, and knows whether it was begun."""

    __slots__ = ("_body", "taken")

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.taken = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.taken = True
        return await anext(self._body)


@dataclass(slots=True)
class Question:
    """See the module's docstring."""

    request: Request
    asking: Request | None
    """The same, asking for the stream's usage, which the client did not."""
    once: OnceBody | None
    """The body, if it cannot be read again."""
    replay: Replay
    facts: Facts
    tab: Tab
    named: References
    """The things of an account it names."""
    store: bool | None
    """The request's own `store`."""

    @property
    def is_spent(self) -> bool:
        """A byte of the body was taken: it is never sent again."""
        return self.once is not None and self.once.taken

    def was_too_much(self, refusal: KeptError, choice: Choice, unaided: set[str]) -> bool:
        """A server that only resembles OpenAI's may refuse what we added to the request; then it goes out as it came."""
        origin = choice.candidate.origin
        if self.asking is None or refusal.upstream.status not in {400, 422} or origin in unaided:
            return False
        if "stream_options" not in refusal.verdict.message:
            return False
        unaided.add(origin)
        refusal.close()
        return True


def question(engine: "Engine", request: Request, facts: Facts | None, tab: Tab | None) -> Question:
    """The question a request is; with `facts` and `tab` when they are known already."""
    headers = lower_headers(request.headers)
    endpoint = describe(request.method, request.target)
    content_type = headers.get("content-type")
    once: OnceBody | None = None
    if isinstance(request.body, bytes):
        body = request.body
    else:
        body = b""
        once = OnceBody(request.body)
        request = replace(request, body=once)
    said = body_facts(content_type, body, headers.get("content-encoding"))
    goes_in = None if said.model is None else tokens.estimate(body, content_type=content_type)
    session = told_key(request.client, said.model, headers, said.prompt_cache_key)
    if session is None and engine.policy.strategy == "sticky":
        session = session_key(request.client, said.model, headers, body)
    asking: Request | None = None
    if tab is None:
        tab = NO_TAB
        if engine.metering.is_on:
            asked = asked_of(request.method, endpoint, said, body, headers, estimate=goes_in)
            tab = engine.metering.open(request, asked, session=session)
            asking = asking_for_usage(request, endpoint, said, headers, engine.settings.stream_usage)
    if facts is None:
        facts = Facts(
            model=said.model,
            access=said.model or _access(endpoint),
            tokens=0 if goes_in is None else goes_in + (said.max_output_tokens or 0),
            need=tab.need,
            free=tab.asked.is_free,
            session=session,
        )
    if body and "content-encoding" in headers:
        body = decoded(body, headers["content-encoding"], LARGEST)
    named = references(request.target, body, content_type)
    replay = endpoint.replay_with(creates_state=said.creates_state)
    return Question(request, asking, once, replay, facts, tab, named, said.store)


def plain_body(request: Request) -> bytes | None:
    """The body without its encoding; None when it is not at hand."""
    if not isinstance(request.body, bytes):
        return None
    encoding = lower_headers(request.headers).get("content-encoding", "")
    return decoded(request.body, encoding, LARGEST) if encoding else request.body


def _access(endpoint: Endpoint) -> str:
    """What MODEL_ACCESS is about: one model that is asked about, or a part of the API."""
    return endpoint.path if endpoint.path.startswith("/v1/models/") else f"/v1/{endpoint.family}"
