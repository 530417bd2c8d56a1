"""Takes out of a request what is between the client and us, or must never cross from one account to another.

Law: what stays, stays as it is, in order and case. Some headers stay here because the engine, which knows account and
upstream, writes its own value in their place: OpenAI-Organization and OpenAI-Project, Host, and the one that frames the
body (Content-Length or Transfer-Encoding), so that the upstream sees them where the client put them. And one because the engine
reads it and takes it out itself: X-Codex-Manager-Session.
"""

from codex_manager.engine.messages import Headers


__all__ = ["hop_by_hop", "strip"]

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"upgrade", b"http2-settings"}
)  # RFC 9110 §7.6.1; `Proxy-*` by its prefix
OURS = frozenset({
    b"authorization",  # the local key
    b"expect",  # already answered by the listener
    b"cookie",  # openai-python returns one account's __cf_bm with the next request, whichever account that gets
    b"cookie2",
})  # fmt: skip
PREFIXES = (b"proxy-", b"x-codex-manager-")
FOR_THE_ENGINE = b"x-codex-manager-session"


def hop_by_hop(headers: Headers) -> frozenset[bytes]:
    """Names of the headers that end here: those of RFC 9110, and those that `Connection` names."""
    return HOP_BY_HOP | _named(headers) | {name.lower() for name, _ in headers if name.lower().startswith(b"proxy-")}


def strip(headers: Headers) -> Headers:
    """What goes on towards the upstream."""
    gone = HOP_BY_HOP | OURS | _named(headers)
    return tuple(
        (name, value)
        for name, value in headers
        if (low := name.lower()) not in gone and (not low.startswith(PREFIXES) or low == FOR_THE_ENGINE)
    )


def _named(headers: Headers) -> set[bytes]:
    return {
        token.strip(b" \t").lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
