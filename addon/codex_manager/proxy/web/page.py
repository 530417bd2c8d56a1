"""What every page of ours has in common: authentication and XSRF of mitmweb, a stricter policy, language and theme, errors.

Law: HTML is made by templates that escape everything; there is no inline script or style and no address outside of this server
(the policy below makes the browser hold us to it); what failed unexpectedly is told without its message, which may hold a secret.
"""

import logging

from typing import Any, ClassVar, Final

from mitmproxy.tools.web import app
from tornado import web

from codex_manager import __version__
from codex_manager.core.errors import CodexManagerError, type_and_place
from codex_manager.proxy.web.guard import refusal
from codex_manager.proxy.web.language import LANGUAGES, Language, choose, language
from codex_manager.proxy.web.surroundings import Surroundings


__all__ = ["LIGHT", "Appearance", "Login", "Page"]

log = logging.getLogger(__name__)

THEMES: Final = ("system", "light", "dark")
LIGHT: Final = "codex-manager-"
"""Beginning of our cookies' names; they hold a theme and a language."""
YEAR_DAYS: Final = 365


class Page(app.RequestHandler):
    """A handler of ours. mitmweb's base wraps each method of a subclass in its authentication."""

    section: ClassVar[str] = ""
    """Which entry of the menu is the present one."""

    def initialize(self, web: Surroundings) -> None:
        """Told by the routing table."""
        self.web = web

    def set_default_headers(self) -> None:
        """As narrow as it gets: only our own files, no inline script or style, no frames, nothing kept."""
        super().set_default_headers()  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        host = self.request.host
        self.set_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            f"connect-src 'self' ws://{host}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        )
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")

    def prepare(self) -> None:
        """As the guard of our own server; inside somebody's own mitmweb there is no other."""
        if refusal(self.request) is not None:
            raise web.HTTPError(403)

    def auth_fail(self, invalid_password: bool) -> None:
        """Ask for the token; a fragment of a page that is open already is told to load itself anew."""
        if self.request.headers.get("HX-Request"):
            self.set_header("HX-Refresh", "true")
            return
        self.page("login.html", wrong=invalid_password)

    # What pages use ---------------------------------------------------------------------------------------------------

    @property
    def language(self) -> Language:
        """The browser's."""
        code = choose(
            self.get_cookie(f"{LIGHT}language"),
            self.web.runtime.config.ui.language,
            self.request.headers.get("Accept-Language", ""),
        )
        return language(code)

    @property
    def theme(self) -> str:
        """`system`, `light` or `dark`."""
        chosen = self.get_cookie(f"{LIGHT}theme")
        return chosen if chosen in THEMES else self.web.runtime.config.ui.theme

    def tr(self, sentence: str) -> str:
        """In the browser's language."""
        return self.language.translate(sentence)

    def page(self, template: str, **values: Any) -> None:
        """Answer with a whole page, or a fragment of one."""
        self.finish(self.fragment(template, **values))

    def fragment(self, template: str, **values: Any) -> str:
        """A template as text, with what all of them may use."""
        common = {
            "section": self.section,
            "theme": self.theme,
            "themes": THEMES,
            "xsrf": self.xsrf_token.decode(),
            "version": __version__,
            "web": self.web,
            "static": static,
        }
        return self.language.render(template, common | values)

    def problem(self, error: CodexManagerError, status: int = 422) -> None:
        """One sentence in the place for messages; the page stays as it is."""
        self.set_status(status)
        self.set_header("HX-Retarget", "#notes")
        self.set_header("HX-Reswap", "innerHTML")
        self.page("note.html", kind="bad", text=str(error), hint=error.hint)

    def done(self, text: str, *, kind: str = "good", hint: str | None = None) -> str:
        """A fragment that puts a sentence into the place for messages, beside whatever else is answered."""
        return self.fragment("note_oob.html", kind=kind, text=text, hint=hint)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A page for what went wrong, without what it was about."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, CodexManagerError):
            self.problem(error)
            return
        if error is not None and not isinstance(error, web.HTTPError):
            log.error("a page failed: %s", type_and_place(error))  # the message may hold a secret
        known = {403: self.tr("This was not allowed."), 404: self.tr("There is no such page.")}
        text = known.get(status_code, self.tr("This failed inside codex-manager; its log says where."))
        if self.request.headers.get("HX-Request"):
            self.problem(CodexManagerError(text), status_code)
        else:
            self.page("error.html", status=status_code, text=text)

    def log_exception(self, *args: Any) -> None:
        """`write_error` has said what may be said."""


class Login(Page):
    """Where the form with the token goes, and links with `?token=` in them; both leave it behind at once."""

    def get(self) -> None:
        """Authenticated by now: on to the page itself, so that no address in the history holds the token.

        Not by a redirect: on the way of one that another program's link began, browsers send no cookie of SameSite=Strict.
        """
        self.page("enter.html")

    post = get


class Appearance(Page):
    """Theme and language of this browser."""

    def post(self) -> None:
        """Keep the choice in a cookie, and load the page anew."""
        theme, code = self.get_body_argument("theme", None), self.get_body_argument("language", None)
        if theme in THEMES:
            self._keep("theme", theme)
        if code in LANGUAGES:
            self._keep("language", code)
        self.set_header("HX-Refresh", "true")

    def _keep(self, name: str, value: str) -> None:
        self.set_cookie(f"{LIGHT}{name}", value, expires_days=YEAR_DAYS, samesite="Strict", httponly=True, path="/")


def static(name: str) -> str:
    """Address of a file of ours; changes with the version, so that browsers may keep it."""
    return f"/codex/static/{name}?v={__version__}"
