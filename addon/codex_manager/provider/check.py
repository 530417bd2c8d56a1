"""Asks OpenAI whether a key is good, once, before it is stored: `GET /v1/models`, which costs nothing.

Light to import, so that `add` stays quick to start. Law: five seconds are the end of it; what cannot be found out is
`unknown`, never an error.
"""

from dataclasses import dataclass
from typing import Literal

from codex_manager.core.secret import Secret
from codex_manager.provider.line import Line, Reply, Way, reason, within
from codex_manager.provider.words import error_of


__all__ = ["CHECK_TIMEOUT_S", "Finding", "check_key"]

CHECK_TIMEOUT_S = 5.0
"""Longer than any healthy answer to `GET /v1/models`, shorter than a person's patience with a prompt."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the check found out."""

    verdict: Literal["good", "refused", "limited", "unknown"]
    """`limited`: the key is known to OpenAI but cannot be used right now. `unknown`: nothing can be said."""
    detail: str = ""
    """For the sentence the user reads; never from the key."""
    organization: str | None = None
    """As `openai-organization` says: an id, or for most keys a name."""
    project: str | None = None
    """As `openai-project` says."""


def check_key(
    base_url: str,
    key: Secret,
    *,
    organization: str | None = None,
    project: str | None = None,
    ca_file: str | None = None,
    proxy: str | None = None,
    timeout_s: float = CHECK_TIMEOUT_S,
) -> Finding:
    """Ask; total: whatever goes wrong on the way is an `unknown` with its reason."""
    headers = {"OpenAI-Organization": organization, "OpenAI-Project": project}
    line = Line(Way(base_url, ca_file, proxy), timeout_s=timeout_s)

    def ask() -> Reply:
        with line:
            return line.get(
                "/v1/models", key, headers={name: value for name, value in headers.items() if value}, full=False
            )

    try:
        return _judge(within(timeout_s, ask, name="key-check", give_up=line.close))
    except Exception as error:  # noqa: BLE001 - a key is never kept out by what went wrong on the way
        return Finding("unknown", reason(error))


def _judge(reply: Reply) -> Finding:
    code, message = error_of(reply.body) if reply.status != 200 else ("", "")
    organization, project = reply.header("openai-organization"), reply.header("openai-project")
    if reply.status == 200:
        return Finding("good", "", organization, project)
    if reply.status in {401, 403} and ("missing scopes" in message or "insufficient permissions" in message):
        return Finding("good", "the key may not list models", organization, project)
    if reply.status == 401:
        return Finding("refused", code or "401")
    if reply.status in {402, 429}:
        return Finding("limited", code or str(reply.status), organization, project)
    return Finding("unknown", f"status {reply.status}" + (f", {code}" if code else ""))
