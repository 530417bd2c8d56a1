"""Asks OpenAI whether a key is good, once, before it is stored: `GET /v1/models`, which costs nothing.

Standard library only, so that `add` stays quick to start. Law: the key goes to the given base URL and nowhere else (no
redirect is followed, no proxy of the environment is used); five seconds are the end of it; the upstream's own words
are never repeated, because OpenAI quotes parts of a key in them.
"""

import base64
import contextlib
import http.client
import json
import queue
import re
import ssl
import threading

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from codex_manager import __version__
from codex_manager.core.secret import Secret
from codex_manager_certs.trust import TrustError, upstream_context


__all__ = ["CHECK_TIMEOUT_S", "Finding", "check_key"]

CHECK_TIMEOUT_S = 5.0
"""Longer than any healthy answer to `GET /v1/models`, shorter than a person's patience with a prompt."""
BODY_MAX = 65_536
"""Bytes read of an error body; OpenAI's are under 1 kB."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the check found out."""

    verdict: Literal["good", "refused", "limited", "unknown"]
    """`limited`: the key is known to OpenAI but cannot be used right now. `unknown`: nothing can be said."""
    detail: str = ""
    """For the sentence the user reads; never from the key."""
    organization: str | None = None
    """As `openai-organization` says."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    organization: str | None
    body: bytes


def check_key(
    base_url: str,
    key: Secret,
    *,
    organization: str | None = None,
    project: str | None = None,
    ca_file: str | None = None,
    proxy: str | None = None,
    timeout_s: float = CHECK_TIMEOUT_S,
) -> Finding:
    """Ask; total: whatever goes wrong on the way is an `unknown` with its reason."""
    answers: queue.Queue[_Reply | Exception] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(_ask(base_url, key, organization, project, ca_file, proxy, timeout_s))
        except Exception as error:  # noqa: BLE001 - a thread's end; told to the waiting side, which names it
            answers.put(error)

    # A thread, because neither a name server nor a server that trickles bytes knows about our five seconds.
    threading.Thread(target=ask, name="key-check", daemon=True).start()
    try:
        reply = answers.get(timeout=timeout_s)
    except queue.Empty:
        return Finding("unknown", f"no answer within {timeout_s:g} s")
    if isinstance(reply, Exception):
        return Finding("unknown", _reason(reply))
    return _judge(reply)


def _ask(
    base_url: str,
    key: Secret,
    organization: str | None,
    project: str | None,
    ca_file: str | None,
    proxy: str | None,
    timeout_s: float,
) -> _Reply:
    headers = {
        "Authorization": f"Bearer {key.reveal()}",
        "Accept": "application/json",
        "User-Agent": f"codex-manager/{__version__}",
    }
    if organization:
        headers["OpenAI-Organization"] = organization
    if project:
        headers["OpenAI-Project"] = project
    connection = _connection(base_url, ca_file, proxy, timeout_s)
    with contextlib.closing(connection):
        connection.request("GET", urlsplit(base_url).path.rstrip("/") + "/v1/models", headers=headers)
        with connection.getresponse() as response:
            body = b"" if response.status == 200 else response.read(BODY_MAX)
            return _Reply(response.status, response.getheader("openai-organization"), body)


def _connection(base_url: str, ca_file: str | None, proxy: str | None, timeout_s: float) -> http.client.HTTPConnection:
    url = urlsplit(base_url)
    host = url.hostname or ""
    if url.scheme == "http":  # this machine itself (see account_fields): never by way of a proxy
        return http.client.HTTPConnection(host, url.port or 80, timeout=timeout_s)
    context = upstream_context(Path(ca_file) if ca_file is not None else None)
    if proxy is None:
        return http.client.HTTPSConnection(host, url.port or 443, timeout=timeout_s, context=context)
    way = urlsplit(proxy)
    if way.scheme != "http":
        raise NotImplementedError("this check cannot speak to an https:// upstream.proxy")
    connection = http.client.HTTPSConnection(way.hostname or "", way.port or 80, timeout=timeout_s, context=context)
    connection.set_tunnel(host, url.port or 443, headers=_proxy_login(way))
    return connection


def _proxy_login(way: SplitResult) -> dict[str, str]:
    """What a proxy URL's user name and password become (RFC 7617)."""
    if way.username is None:
        return {}
    pair = f"{unquote(way.username)}:{unquote(way.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _judge(reply: _Reply) -> Finding:
    code, message = _error(reply.body)
    organization = reply.organization if reply.organization and reply.organization.isprintable() else None
    if reply.status == 200:
        return Finding("good", organization=organization)
    if reply.status in {401, 403} and ("missing scopes" in message or "insufficient permissions" in message):
        return Finding("good", "the key may not list models", organization=organization)
    if reply.status == 401:
        return Finding("refused", code or "401")
    if reply.status in {402, 429}:
        return Finding("limited", code or str(reply.status), organization=organization)
    return Finding("unknown", f"status {reply.status}" + (f", {code}" if code else ""))


def _error(body: bytes) -> tuple[str, str]:
    """The error's code, if it is a plain word, and its message in lower case for looking at, not for showing."""
    try:
        error = json.loads(body)["error"]
        code, message = error.get("code"), error.get("message")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""
    plain = isinstance(code, str) and re.fullmatch(r"[a-z_]{1,64}", code)
    return (code if plain else ""), (message.lower() if isinstance(message, str) else "")


def _reason(error: Exception) -> str:
    """Why nothing can be said, in words without the address or the key."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ConnectionRefusedError():
            return "connection refused"
        case NotImplementedError() | TrustError():
            return str(error)
        case OSError():
            return (error.strerror or type(error).__name__).lower()
        case _:
            return f"the answer was not understood ({type(error).__name__})"
