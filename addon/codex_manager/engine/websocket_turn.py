"""One answer on a Responses socket: what was asked, what of it has come, and who works for it."""

from dataclasses import dataclass, field

from codex_manager.core.routing import Facts
from codex_manager.core.socket_events import Create
from codex_manager.core.state import Lease
from codex_manager.engine.asking import Asked
from codex_manager.engine.tab import Tab
from codex_manager.engine.websocket_frames import Message
from codex_manager.engine.websocket_named import NamedFrame


__all__ = ["Turn", "asked_for"]


def asked_for(create: Create) -> Asked:
    """What a turn costs by."""
    return Asked(
        endpoint="responses",
        model=create.model,
        tokens=create.tokens - (create.most or 0),
        is_billed=True,
        talks=not create.warms_up,
        most=create.most,
    )


@dataclass(slots=True, eq=False)
class Turn:
    """One answer under way."""

    message: Message
    create: Create
    facts: Facts
    began: float
    tab: Tab
    named: NamedFrame
    lease: Lease | None = None
    held: list[Message] = field(default_factory=list)
    held_bytes: int = 0
    held_since: float = 0.0
    committed: bool = False
    """Something of the answer has gone out, or other frames have come in about it."""
    spoken: bool = False
    """Output has gone out, not only the news that there will be some."""
    answered: bool = False
    tokens: int = 0
    """Of output that came, about."""
    first_byte: float | None = None
    moves: int = 0
    stormy: int = 0
