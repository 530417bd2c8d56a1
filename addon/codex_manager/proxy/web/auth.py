"""Who may see the page: holders of a token of this run.

mitmweb's own addon, but for two things: secrets are compared as bytes, because its comparison of text breaks on what is not ASCII,
and the token is ours to hand out (the terminal, a file of the owner's), never a log's. Law: compared in constant time.
"""

import hmac

from mitmproxy.tools.web.webaddons import WebAuth

from codex_manager.core.secret import Secret


__all__ = ["Token"]


class Token(WebAuth):
    """`secret` opens the page. mitmproxy's option `web_password` is not there to weaken it."""

    name = "webauth"  # mitmweb's application looks for it

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # mitmproxy's own is untyped
        self.secret = Secret(self._password)

    def load(self, loader: object) -> None:
        """No option: a password in mitmproxy's options could be read from the page itself."""

    def configure(self, updated: object) -> None:
        """Nothing to configure."""

    @property
    def web_url(self) -> str:
        """Where mitmweb would send a browser; our launcher does that itself."""
        return ""

    def is_valid_password(self, password: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(self.secret.reveal().encode(), password.encode("utf-8", "surrogatepass"))
