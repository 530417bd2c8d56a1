"""Whether OpenAI can be reached from here, and whether this machine's clock agrees with its."""

import time

from collections.abc import Iterator

from codex_manager.config.address import url_address
from codex_manager.config.errors import ConfigError
from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient, command
from codex_manager.provider.reach import Reached, reach


__all__ = ["check"]

OFF_S = 60.0
"""From here on days and months of limits begin noticeably early or late."""
FAR_OFF_S = 300.0
"""From here on certificates and keys of others are refused."""


def check(patient: Patient) -> Iterator[Finding]:
    """Each place that keys go to, once, with a question that needs no key."""
    if isinstance(patient.loaded, ConfigError):
        yield warn(
            "upstream",
            "OpenAI was not asked, because the configuration that says where it is cannot be used",
            "see above",
        )
        return
    config = patient.config
    places = [config.proxy.openai_base_url, *(account.base_url for account in patient.accounts if account.base_url)]
    clock: Finding | None = None
    for place in dict.fromkeys(places):
        found = reach(place, ca_file=config.upstream.ca_file, proxy=config.upstream.proxy)
        yield _reached(str(url_address(place)), found)
        if clock is None and found.date is not None:
            clock = _clock(found.date - time.time())
    if clock is not None:
        yield clock


def _reached(place: str, found: Reached) -> Finding:
    if found.problem:
        return bad("upstream", f"{place} cannot be reached: {found.problem}", _cure(found.problem))
    text = f"{place} answers in {found.seconds * 1000:.0f} ms"
    if found.status == 403:
        return warn(
            "upstream", f"{text}, but refuses this machine (403)", "does OpenAI serve your country and network?"
        )
    if found.status == 407 or found.status >= 500:
        return warn("upstream", f"{text}, with status {found.status}", "see https://status.openai.com")
    return ok("upstream", text)


def _cure(problem: str) -> str:
    if "certificate" in problem:
        return f"where a company's proxy opens TLS, name its authority: {command('config', 'set', 'upstream.ca_file', 'FILE')}"
    return "is this machine online? A company's proxy on the way is set as upstream.proxy"


def _clock(ahead: float) -> Finding:
    """`ahead`: seconds by which the other side's clock is ahead of ours."""
    if abs(ahead) < OFF_S:
        return ok("clock", "this machine's clock is right")
    text = f"this machine's clock is {abs(ahead):.0f} s {'slow' if ahead > 0 else 'fast'}"
    cure = "set it right, or let it be set: timedatectl set-ntp true"
    return bad("clock", text, cure) if abs(ahead) >= FAR_OFF_S else warn("clock", text, cure)
