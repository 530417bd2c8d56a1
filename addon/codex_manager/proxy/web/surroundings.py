"""What the pages work with: the running proxy and everything beside it, in one place.

Law: pages reach the proxy's parts through this and nothing else, so that it can be read here what a page may do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_manager.config.paths import Paths
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.runtime import Runtime
from codex_manager.proxy.web.history import History


if TYPE_CHECKING:
    from codex_manager.accounts.desk import Desk
    from codex_manager.proxy.web.hub import Hub

__all__ = ["Surroundings"]


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """One of a process."""

    runtime: Runtime
    """Its `config`, `status()`, `engine`, `reload()`."""
    paths: Paths
    environ: Mapping[str, str]
    recent: Recent
    """The last requests that are over, and who is told of the next."""
    desk: "Desk"
    """Accounts: blocks, so `await asyncio.to_thread(...)`."""
    hub: "Hub"
    """What is pushed to open pages."""
    endpoint: str
    """Base URL for clients."""
    history: History = field(init=False)
    """The last day and the last thirty, for charts; it hears of requests from now on."""

    def __post_init__(self) -> None:
        self.history = History(self.recent, self.paths.ledger_file)

    def follow(self, runtime: Runtime, recent: Recent, desk: "Desk", endpoint: str) -> None:
        """Another proxy has taken the place of the one before, behind the same pages."""
        self.runtime, self.recent, self.desk, self.endpoint = runtime, recent, desk, endpoint
        self.history = History(recent, self.paths.ledger_file)
