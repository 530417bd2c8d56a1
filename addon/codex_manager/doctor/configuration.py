"""Whether the settings can be used, and what about them deserves a word."""

from collections.abc import Iterator

from codex_manager.config.address import is_loopback, parse_address
from codex_manager.config.errors import ConfigError
from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient, command


__all__ = ["check"]


def check(patient: Patient) -> Iterator[Finding]:
    """Every mistake by itself, then what is allowed but seldom meant."""
    file = patient.paths.config_file
    if isinstance(patient.loaded, ConfigError):
        for problem in patient.loaded.problems:
            yield bad("configuration", problem, patient.loaded.hint)
        return
    config = patient.config
    if not file.exists():
        yield ok("configuration", f"there is no {file}; the defaults apply")
    else:
        yield ok("configuration", f"{file} can be used")
    if not is_loopback(parse_address(config.proxy.bind_addr).host):
        yield warn(
            "configuration",
            f"other machines can reach the proxy at {config.proxy.bind_addr}, over plain HTTP",
            "put TLS in front of it, or listen on this machine only: "
            + command("config", "set", "proxy.bind_addr", "127.0.0.1:8080"),
        )
    if config.proxy.foreign_keys == "pass":
        yield warn(
            "configuration",
            "requests with keys that are not ours are sent on as they come (proxy.foreign_keys)",
            "where that is not meant: " + command("config", "unset", "proxy.foreign_keys"),
        )
    if config.metrics.enabled and config.metrics.open:
        yield warn(
            "configuration",
            "anybody who reaches the proxy can read /metrics, which names accounts and clients",
            "where that is not meant: " + command("config", "unset", "metrics.open"),
        )
    if not config.metering.enabled:
        yield warn(
            "configuration",
            "nothing is counted (metering.enabled), so no spending limit is held",
            command("config", "set", "metering.enabled", "true"),
        )
