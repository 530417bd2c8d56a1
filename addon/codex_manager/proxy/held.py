"""A flow that a user holds (intercepts): until it is let go, or killed.

mitmproxy's own waiting does not notice a kill, so that a client would wait for ever. Knows mitmproxy's flows only.
"""

import asyncio
import contextlib

from mitmproxy import flow


__all__ = ["released"]

LOOK_S = 0.2  # a kill is seen within this; letting go is seen at once


async def released(held: flow.Flow) -> None:
    """Return at once unless the flow is held; then when it is not any more."""
    while held.intercepted:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(held.wait_for_resume(), LOOK_S)
