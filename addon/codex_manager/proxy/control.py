"""The pages on which a running proxy tells commands of this machine about itself: `/codex-manager/api/v1/…`.

    status                    what the accounts are doing (proxy.status)
    running?limit=M           the requests on their way (proxy.underway)
    requests?after=N&limit=M  those that are over, since somebody asks (proxy.audience)
    log?after=N&limit=M       the last lines of the log (proxy.logs)

Law: opened by a random token of this run only, which lies in a file that is the owner's alone (config.presence) and is compared
in constant time; whoever has it not is answered as if there were nothing here (the gate sees to it). GET and HEAD only:
nothing can be changed here. Never reached as a forward proxy.
"""

import hmac
import secrets

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from codex_manager.core.openai_error import error_body
from codex_manager.core.secret import Secret
from codex_manager.engine.messages import Answer
from codex_manager.proxy.answers import json_answer, plain_answer
from codex_manager.proxy.gate import CONTROL_PREFIX
from codex_manager.proxy.incoming import Incoming
from codex_manager.proxy.local import only_reads
from codex_manager.proxy.local_keys import digest


__all__ = ["API", "MOST", "Control", "Question"]

API: Final = f"{CONTROL_PREFIX}api/v1/"
MOST: Final = 1000
"""Things on a page: what is made of them in one go keeps requests waiting."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a page may be asked."""

    after: int = 0
    """Only what has a higher number."""
    limit: int = 100
    """No more than so many, 1 to `MOST`."""


type Page = Callable[[Question], object]


class Control:
    """Mutable state: the pages there are, by name. Each gives a document for JSON."""

    def __init__(self) -> None:
        self.token = Secret(secrets.token_urlsafe(32))
        self._digest = digest(self.token.reveal().encode())
        self._pages: dict[str, Page] = {}

    def add(self, name: str, page: Page) -> None:
        """From now on there is this page."""
        self._pages[API + name] = page

    def knows(self, presented: bytes) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(self._digest, digest(presented))

    def answer(self, incoming: Incoming) -> Answer:
        """The answer to somebody who has the token."""
        path, _, query = incoming.target.partition("?")
        page, is_head = self._pages.get(path), incoming.method == "HEAD"
        if page is None:
            sentence = f"There is no such page; there is {', '.join(self._pages)}."
            body = error_body(sentence, type="invalid_request_error", code="unknown_url")
            return plain_answer(404, body, head=is_head)
        question = _question(query)
        if question is None:
            sentence = f"{path} may be asked after=NUMBER and limit=1 to {MOST}, nothing else."
            body = error_body(sentence, type="invalid_request_error", code="invalid_query")
            return plain_answer(400, body, head=is_head)
        return only_reads(incoming.method, path) or json_answer(200, page(question), head=is_head)


def _question(query: str) -> Question | None:
    given = parse_qsl(query, keep_blank_values=True)
    asked = dict(given)
    if len(asked) != len(given) or not asked.keys() <= {"after", "limit"}:
        return None
    if not all(text.isascii() and text.isdigit() and len(text) <= 18 for text in asked.values()):
        return None
    question = Question(**{name: int(text) for name, text in asked.items()})
    return question if 1 <= question.limit <= MOST else None
