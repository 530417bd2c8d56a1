"""What is settled before any page is asked, from a request's head alone: under which name, from which site, and how much may be sent.

Knows tornado's request and the Fetch Metadata of browsers, no page. Law: a page of another site, or of another port of this machine, gets
nothing but the way in by a link, whatever cookies the browser sends along (cookies do not know ports); whoever is not known
cannot make us hold more than a form.
"""

from typing import Final

from tornado import httputil

from codex_manager.config.address import is_loopback


__all__ = ["MOST_UPLOAD", "is_local_name", "most_body", "refusal"]

UPLOADS: Final = ("/flows/dump", "/content.data")
"""Where mitmweb takes dumps and bodies."""
MOST_UPLOAD: Final = 64 * 1024 * 1024  # bytes; mitmweb allows 4 GiB
MOST_FORM: Final = 2 * 1024 * 1024
"""Our own pages; an export of 500 accounts is half of it."""
MOST_UNKNOWN: Final = 16 * 1024
"""From whoever is not known yet: the form with the token. Bodies are read before handlers run."""


def is_local_name(host: str) -> bool:
    """Whether a Host header names this machine: `localhost` or a loopback address, with any port."""
    name, port = host.strip(), ""
    if name.startswith("["):
        name, closed, rest = name[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            return False
        port = rest[1:]
    elif name.count(":") == 1:
        name, _, port = name.partition(":")
    return is_loopback(name) and (not port or (port.isascii() and port.isdigit()))


def refusal(request: httputil.HTTPServerRequest) -> str | None:
    """Why this request gets nothing, in a sentence; None when pages may be asked."""
    hosts = request.headers.get_list("Host")
    if len(hosts) != 1 or not is_local_name(hosts[0]):
        return "codex-manager's page is reached as localhost or 127.0.0.1 only."
    site = request.headers.get("Sec-Fetch-Site")
    for origin in request.headers.get_list("Origin"):
        own = origin.lower() == f"http://{hosts[0].lower()}"
        if not own and not (origin == "null" and site == "same-origin"):  # forms of pages without a referrer say `null`
            return "codex-manager's page answers no other site."
    if site not in {None, "same-origin", "none"} and not _follows_a_link(request):
        return "codex-manager's page answers no other site."
    return None


def most_body(path: str, *, known: bool) -> int:
    """Bytes a request to this path may bring."""
    if not known:
        return MOST_UNKNOWN
    return MOST_UPLOAD if path.endswith(UPLOADS) else MOST_FORM


def _follows_a_link(request: httputil.HTTPServerRequest) -> bool:
    """Somebody opens a page of ours as such, from wherever; cookies of SameSite=Strict stay out."""
    head = request.headers
    return (
        request.method in {"GET", "HEAD"}
        and head.get("Sec-Fetch-Mode") == "navigate"
        and head.get("Sec-Fetch-Dest", "document") == "document"
        and "Upgrade" not in head
    )
