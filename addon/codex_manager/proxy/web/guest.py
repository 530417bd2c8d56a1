"""The dashboard inside somebody's own `mitmweb -s addon/main.py`: the same pages, on that mitmweb's server, behind its authentication.

Law: adds pages and changes none of mitmweb's. What our own server guards for all pages is held by ours themselves.
"""

from collections.abc import Mapping
from typing import Any

from codex_manager.accounts.desk import Desk
from codex_manager.config.paths import Paths
from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.runtime import Runtime
from codex_manager.proxy.web.hub import Hub
from codex_manager.proxy.web.routes import routes
from codex_manager.proxy.web.surroundings import Surroundings


__all__ = ["serve_inside"]

KEPT = "codex_manager"
"""Where the application remembers that it has our pages."""


def serve_inside(
    application: Any, runtime: Runtime, paths: Paths, environ: Mapping[str, str], recent: Recent, endpoint: str
) -> Hub:
    """Add the pages to mitmweb's application; what to close in the end.

    A script that mitmproxy loads anew comes here again: the pages that are there then show the new runtime.
    """
    desk = Desk(paths, environ, runtime.open_vault)
    there: Surroundings | None = application.settings.get(KEPT)
    if there is not None:
        there.follow(runtime, recent, desk, endpoint)
        return there.hub
    surroundings = Surroundings(
        runtime=runtime, paths=paths, environ=environ, recent=recent, desk=desk, hub=Hub(), endpoint=endpoint
    )
    application.settings[KEPT] = surroundings
    application.add_handlers(r".*", routes(surroundings))
    return surroundings.hub
