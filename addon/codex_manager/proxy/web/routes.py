"""Which address is which page. The menu is in `templates/base.html`."""

from pathlib import Path
from typing import Any, Final

from tornado import web

from codex_manager.proxy.web.about_page import About, Certificate, Doctor
from codex_manager.proxy.web.accounts_page import topics as accounts_topics
from codex_manager.proxy.web.accounts_routes import ACCOUNTS
from codex_manager.proxy.web.edits import Content, ContentView, EditFlow, OpenDump
from codex_manager.proxy.web.flows_page import FlowsPage
from codex_manager.proxy.web.hub import Live
from codex_manager.proxy.web.overview import Explained, Overview
from codex_manager.proxy.web.overview import topics as overview_topics
from codex_manager.proxy.web.page import Appearance, Login
from codex_manager.proxy.web.settings_page import Prices, Section, Settings, Strategy
from codex_manager.proxy.web.surroundings import Surroundings
from codex_manager.proxy.web.updates import Updates


__all__ = ["mitmweb_routes", "routes"]

STATIC: Final = Path(__file__).parent / "static"


class Static(web.StaticFileHandler):
    """Our own files; they hold nothing secret, and their address changes with the version."""

    def set_default_headers(self) -> None:
        """As for pages."""
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")


def routes(surroundings: Surroundings) -> list[Any]:
    """Our pages, for `WebServer.add`."""
    overview_topics(surroundings)
    accounts_topics(surroundings)
    told = {"web": surroundings}
    pages: list[tuple[str, Any]] = [
        (r"/codex/?", Overview),
        (r"/codex/requests/([\w.-]{1,80})", Explained),
        (r"/codex/login", Login),
        (r"/codex/appearance", Appearance),
        (r"/codex/live", Live),
        (r"/codex/about", About),
        (r"/codex/about/certificate", Certificate),
        (r"/codex/about/doctor", Doctor),
        (r"/codex/settings", Settings),
        (r"/codex/settings/section/([a-z]+)", Section),
        (r"/codex/settings/strategy", Strategy),
        (r"/codex/settings/prices", Prices),
    ]
    pages += ACCOUNTS
    static = (r"/codex/static/(.*)", Static, {"path": str(STATIC)})
    return [static, *((path, handler, told) for path, handler in pages)]


def mitmweb_routes(surroundings: Surroundings) -> list[Any]:
    """Pages of mitmweb that are other in our own server."""
    message = r"/flows/(?P<flow_id>[0-9a-f-]+)/(?P<message>request|response|messages)"
    return [
        (r"/", FlowsPage, {"web": surroundings}),
        (r"/updates", Updates),
        (r"/flows/dump", OpenDump),
        (r"/flows/(?P<flow_id>[0-9a-f-]+)", EditFlow),
        (rf"{message}/content.data", Content),
        (rf"{message}/content/(?P<content_view>[0-9a-zA-Z\-\_%]+)(?:\.json)?", ContentView),
    ]
