"""The answer of `/metrics`: looks at everything on the event loop, and has it written down in a thread.

Law: GET and HEAD only; one page is written at a time, so that eager scrapers wait for each other and requests for none.
"""

import asyncio

from codex_manager.engine.messages import Answer
from codex_manager.proxy.accounting import Accounting
from codex_manager.proxy.answers import plain_answer
from codex_manager.proxy.gate import METRICS_PATH
from codex_manager.proxy.head import values
from codex_manager.proxy.incoming import Incoming
from codex_manager.proxy.local import only_reads
from codex_manager.proxy.metrics import Sums
from codex_manager.proxy.moment import Moment


__all__ = ["MetricsPage"]


class MetricsPage:
    """Mutable state: whose turn it is."""

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting
        self._turn = asyncio.Lock()

    async def answer(self, incoming: Incoming, *, uptime_s: float) -> Answer:
        """The page, in the format that the client asks for."""
        if (refusal := only_reads(incoming.method, METRICS_PATH)) is not None:
            return refusal
        accept = b",".join(values(incoming, b"accept")).decode("latin-1")
        async with self._turn:
            accounting = self._accounting
            sums, moment = accounting.metrics.sums.copy(), accounting.moment(uptime_s)
            text, content_type = await asyncio.to_thread(_written, sums, moment, accept)
        return plain_answer(200, text, content_type=content_type.encode(), head=incoming.method == "HEAD")


def _written(sums: Sums, moment: Moment, accept: str) -> tuple[bytes, str]:
    from codex_manager.proxy.exposition import page  # prometheus_client takes 0.1 s to import, which most never need

    return page(sums, moment, accept)
