"""The pages on which a running proxy tells commands of this machine about itself: `/codex-manager/api/v1/…`.

Law: opened by a random token of this run only, which lies in a file that is the owner's alone (config.presence) and is compared
in constant time; whoever has it not is answered as if there were nothing here (the gate sees to it). GET and HEAD only:
nothing can be changed here. Never reached as a forward proxy.
"""

import hmac
import secrets

from collections.abc import Callable, Mapping
from typing import Final

from codex_manager.core.openai_error import error_body
from codex_manager.core.secret import Secret
from codex_manager.engine.messages import Answer
from codex_manager.proxy.answers import json_answer, plain_answer
from codex_manager.proxy.gate import CONTROL_PREFIX
from codex_manager.proxy.head import path_of
from codex_manager.proxy.incoming import Incoming
from codex_manager.proxy.local import only_reads
from codex_manager.proxy.local_keys import digest


__all__ = ["API", "Control"]

API: Final = f"{CONTROL_PREFIX}api/v1/"

type Page = Callable[[], object]


class Control:
    """`pages` by name: `status` is below `/codex-manager/api/v1/status`. Each gives a document for JSON."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.token = Secret(secrets.token_urlsafe(32))
        self._digest = digest(self.token.reveal().encode())
        self._pages = {API + name: page for name, page in pages.items()}

    def knows(self, presented: bytes) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(self._digest, digest(presented))

    def answer(self, incoming: Incoming) -> Answer:
        """The answer to somebody who has the token."""
        path = path_of(incoming.target)
        page = self._pages.get(path)
        if page is None:
            known = ", ".join(self._pages)
            body = error_body(
                f"There is no such page; there is {known}.", type="invalid_request_error", code="unknown_url"
            )
            return plain_answer(404, body, head=incoming.method == "HEAD")
        return only_reads(incoming.method, path) or json_answer(200, page(), head=incoming.method == "HEAD")
