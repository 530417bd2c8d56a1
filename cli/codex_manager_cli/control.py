"""Asks the proxy that runs on this home about itself, on its own pages (`/codex-manager/api/v1/…`).

Knows the announcement and the token beside it (config.presence). Law: the token goes to the announced address on this machine and
nowhere else: no proxy of the environment, no redirect.
"""

import http.client
import json

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from codex_manager.config import presence
from codex_manager.config.address import Address, is_wildcard
from codex_manager_cli.talk import UserError


__all__ = ["Told", "ask"]

ANSWER_S: Final = 5.0  # a page is made in a millisecond; a machine under load takes its time
MOST_BYTES: Final = 16 << 20  # 4,096 models an account are some 400 KB


@dataclass(frozen=True, slots=True)
class Told:
    """What a proxy said."""

    address: Address
    document: dict[str, Any]


def ask(data_folder: Path, page: str) -> Told | None:
    """A page of the proxy that runs on this home; None when none is announced.

    Raises:
        UserError: one is announced, and does not answer.
    """
    running = presence.running(data_folder)
    if running is None:
        return None
    host = running.host
    if is_wildcard(host):
        host = "::1" if ":" in host else "127.0.0.1"
    address = Address(host, running.port)
    token = presence.token(data_folder)
    if token is None:
        raise UserError(
            f"the proxy at {address} left no token in {data_folder / presence.TOKEN_FILE}",
            hint="was it started by an older version? start it again",
        )
    status, body = _get(address, f"/codex-manager/api/v1/{page}", token.reveal())
    if presence.running(data_folder) is None:
        return None  # it ended meanwhile
    if status == 404:
        raise UserError(
            f"the proxy at {address} has no such page, or another token than {data_folder / presence.TOKEN_FILE}",
            hint="start it again; it may be of another version",
        )
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if status != 200 or not isinstance(document, dict):
        raise UserError(f"the proxy at {address} does not answer as it should", hint="its log says more")
    return Told(address, document)


def _get(address: Address, path: str, token: str) -> tuple[int, bytes]:
    """Status and body; 0 when there was no answer."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_S)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
