"""Whether the upstream can be reached at all: the question of `check`, without a key.

Law: no key is sent, so an answer of 401 is the usual one; total, whatever goes wrong is a `problem`.
"""

import time

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from codex_manager import __version__
from codex_manager.provider.line import Way, reason, within


__all__ = ["REACH_TIMEOUT_S", "Reached", "reach"]

REACH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Reached:
    """What came back."""

    status: int = 0
    seconds: float = 0.0
    """From the first byte sent to the answer's head, the connection and TLS included."""
    date: float | None = None
    """The other side's clock, in Unix time; whole seconds."""
    problem: str = ""
    """Why nothing came back, in words without the address."""


def reach(
    base_url: str, *, ca_file: str | None = None, proxy: str | None = None, timeout_s: float = REACH_TIMEOUT_S
) -> Reached:
    """Ask for `/v1/models` as somebody unknown."""
    try:
        connection = Way(base_url, ca_file, proxy).connection(timeout_s)
    except Exception as error:  # noqa: BLE001 - as below
        return Reached(problem=reason(error))

    def ask() -> Reached:
        began = time.monotonic()
        path = urlsplit(base_url).path.rstrip("/") + "/v1/models"
        connection.request("GET", path, headers={"User-Agent": f"codex-manager/{__version__}"})
        with connection.getresponse() as response:
            return Reached(response.status, time.monotonic() - began, _date(response.getheader("Date")))

    try:
        return within(timeout_s, ask, name="reach", give_up=connection.close)
    except Exception as error:  # noqa: BLE001 - each way of not being reached is an answer
        return Reached(problem=reason(error))
    finally:
        connection.close()


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
