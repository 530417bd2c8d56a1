"""Whether each account's key is good, asked of OpenAI."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from codex_manager.config.errors import ConfigError
from codex_manager.core.account import Account
from codex_manager.doctor.finding import Finding, bad, ok, warn
from codex_manager.doctor.patient import Patient, command
from codex_manager.provider.check import check_key


__all__ = ["check"]

AT_ONCE = 8
"""Questions side by side; each takes five seconds at most."""


def check(patient: Patient) -> Iterator[Finding]:
    """Those that may serve, side by side; none, while it is not known where their keys may go."""
    if isinstance(patient.loaded, ConfigError):
        return
    asked = [account for account in patient.accounts if account.enabled]
    if asked:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="doctor") as pool:
            yield from pool.map(lambda account: _asked(patient, account), asked)


def _asked(patient: Patient, account: Account) -> Finding:
    config = patient.config
    found = check_key(
        account.base_url or config.proxy.openai_base_url,
        account.api_key,
        organization=account.organization,
        project=account.project,
        ca_file=config.upstream.ca_file,
        proxy=config.upstream.proxy,
    )
    detail = f" ({found.detail})" if found.detail else ""
    match found.verdict:
        case "good":
            return ok("accounts", f"{account.label}: OpenAI takes its key{detail}")
        case "refused":
            return bad(
                "accounts",
                f"{account.label}: OpenAI refuses its key{detail}",
                f"give it another: {command('edit', account.label, '--new-key')}",
            )
        case "limited":
            return warn(
                "accounts",
                f"{account.label}: OpenAI knows its key, but cannot serve it now{detail}",
                "see its billing and limits",
            )
        case _:
            return warn("accounts", f"{account.label}: its key could not be checked{detail}", "try again later")
