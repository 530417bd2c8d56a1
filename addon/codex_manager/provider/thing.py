"""Asks OpenAI whether an account has a thing, by its id: one `GET`, which costs nothing.

Law: what cannot be found out is said with its reason, never raised; ten seconds are the end of it.
"""

import http.client

from dataclasses import dataclass
from typing import Final

from codex_manager.core.account import Account
from codex_manager.core.resources import BY_NAME
from codex_manager.provider.line import Line, Reply, Way, reason, within
from codex_manager.provider.words import error_of
from codex_manager_certs.trust import TrustError


__all__ = ["Sight", "can_look", "look"]

LOOK_S: Final = 10.0
_BETA: Final = {
    "assistant": "assistants=v2", "thread": "assistants=v2", "vector_store": "assistants=v2",
    "chatkit_thread": "chatkit_beta=v1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sight:
    """What an account said."""

    account_id: str
    has: bool | None
    """None: nothing can be said."""
    why: str = ""
    """Then the reason."""
    organization: str | None = None
    """As the answer named it."""
    project: str | None = None


def can_look(family: str) -> bool:
    """Whether things of this family can be asked for by their id alone."""
    return family in BY_NAME and BY_NAME[family].item is not None


def look(account: Account, way: Way, family: str, name: str) -> Sight:
    """Ask; total. `name` is what core.resources takes for an id."""
    item = BY_NAME[family].item
    assert item is not None
    sent = {
        "OpenAI-Organization": account.organization,
        "OpenAI-Project": account.project,
        "OpenAI-Beta": _BETA.get(family),
    }
    line = Line(way, timeout_s=LOOK_S)

    def ask() -> Reply:
        with line:
            headers = {header: value for header, value in sent.items() if value}
            return line.get(f"/v1/{item.format(name)}", account.api_key, headers=headers, full=False)

    try:
        reply = within(LOOK_S, ask, name="look", give_up=line.close)
    except (OSError, http.client.HTTPException, TrustError, NotImplementedError) as error:
        return Sight(account.id, None, reason(error))
    organization, project = reply.header("openai-organization"), reply.header("openai-project")
    if reply.status == 200:
        return Sight(account.id, True, "", organization, project)
    if reply.status == 404:
        return Sight(account.id, False, "", organization, project)
    code, _ = error_of(reply.body)
    return Sight(account.id, None, f"status {reply.status}" + (f", {code}" if code else ""), organization, project)
