"""What views and commands ask of the running proxy: what was decided and why, who is there, a change, a fresh look.

Knows the runtime, the desk and the records that are remembered. Law: nothing here gives out a key; what is slow says so.
"""

import time

from collections.abc import Mapping
from typing import Any

from codex_manager.accounts.desk import Desk
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.telling.story_page import as_page
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.runtime import Runtime


__all__ = ["NotServingError", "Running", "UnknownRequestError"]

MOST_ANSWERS = 20
"""Of one WebSocket, as `codex-manager explain` shows."""


class NotServingError(CodexManagerError):
    """The proxy is starting or stopping, or could not start."""


class UnknownRequestError(CodexManagerError):
    """Nothing is remembered of a request."""


class Running:
    """One of a process."""

    def __init__(self, runtime: Runtime, desk: Desk, recent: Recent) -> None:
        self._runtime = runtime
        self._recent = recent
        self.desk = desk
        """Accounts. Blocks: not for the loop."""

    def status(self) -> Mapping[str, Any]:
        """What `codex-manager status --json` shows.

        Raises:
            NotServingError: there is nothing to tell.
        """
        if not self._runtime.is_serving:
            raise NotServingError("codex-manager is not serving", hint="its log says why")
        return self._runtime.status()

    def explain(self, request_id: str) -> str:
        """Why a request went where it went, as a page; of a WebSocket, all its answers.

        Raises:
            UnknownRequestError: it is not over yet, or was too long ago, or nothing is recorded.
        """
        labels = self._labels()
        records = self._recent.answers(request_id)
        stories = [self._recent.story(record.id, labels) for record in records[-MOST_ANSWERS:]]
        now = time.time()
        pages = [as_page(story, now, None) for story in stories if story is not None]
        if not pages:
            raise UnknownRequestError(self._recent.absence(request_id))
        if more := len(records) - len(pages):
            pages.insert(0, f"the last {len(pages)} of {more + len(pages)} answers on this WebSocket")
        return "\n\n\n".join(pages)

    async def reload(self) -> None:
        """Take over what changed in configuration and vault."""
        await self._runtime.reload()

    def _labels(self) -> Mapping[str, str]:
        if not self._runtime.is_serving:
            return {}
        return {account.id: account.label for account in self._runtime.engine.report().accounts}
