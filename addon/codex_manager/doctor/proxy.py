"""Whether the proxy runs, is ours, and its addresses can be had."""

import errno
import os
import re
import socket

from collections.abc import Iterator
from contextlib import closing

from codex_manager import __version__
from codex_manager.config.address import Address, is_wildcard, parse_address
from codex_manager.config.presence import RunningProxy
from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient, command


__all__ = ["check", "reachable"]

CONNECT_S = 2.0
DOOR = "web.html"
"""What a proxy with a page leaves in its data folder (proxy.web.face)."""


def check(patient: Patient) -> Iterator[Finding]:
    """What runs, or else what would be in its way."""
    config, running = patient.config, patient.running
    page = parse_address(config.web.address)
    if running is None:
        yield from _free(parse_address(config.proxy.bind_addr), "proxy", "--bind")
        yield from _free(page, "web", "--web-bind")
        return
    where = reachable(running)
    if _answers(where):
        yield ok("proxy", f"the proxy runs at {where} (process {running.pid})")
    else:
        yield bad(
            "proxy", f"the proxy at {where} does not answer (process {running.pid})", "stop it and start it again"
        )
    if running.version != __version__:
        yield warn(
            "proxy", f"the proxy that runs is version {running.version}, this is {__version__}", "start it again"
        )
    if (served := _page_of(patient)) is not None:
        yield ok("proxy", f"its page is served at {served}")
    else:
        yield from _free(page, "web", "--web-bind")


def reachable(running: RunningProxy) -> Address:
    """Where this machine finds it."""
    return Address("127.0.0.1" if is_wildcard(running.host) else running.host, running.port)


def _answers(address: Address) -> bool:
    try:
        with socket.create_connection(address, timeout=CONNECT_S):
            return True
    except OSError:
        return False


def _page_of(patient: Patient) -> str | None:
    """The address of the page; its file holds the token too, which stays there."""
    try:
        text = (patient.paths.data_dir / DOOR).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r'url=(http://[^/"]+)/', text)
    return found[1] if found else None


def _free(address: Address, name: str, option: str) -> Iterator[Finding]:
    if address.port == 0:
        return
    try:
        _bind(address)
    except OSError as error:
        other = Address(address.host, address.port + 1)
        if error.errno == errno.EADDRINUSE:
            yield bad(
                "proxy",
                f"{address} is in use by another program, so `codex-manager {name}` cannot start there",
                f"stop that program, or: {command(name, option, str(other))}",
            )
        elif error.errno == errno.EACCES:
            yield bad(
                "proxy", f"listening on {address} is not permitted", f"use a port from 1024 on: {command(name, option)}"
            )
        else:
            yield bad("proxy", f"{address} is not an address of this machine", "listen on 127.0.0.1")
    else:
        yield ok("proxy", f"no proxy runs; {address} is free for `codex-manager {name}`")


def _bind(address: Address) -> None:
    family, kind, protocol, _, target = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with closing(socket.socket(family, kind, protocol)) as probe:
        if os.name != "nt":  # there it would share the port with whoever has it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(target)
