"""The examination: every check, one after the other, those that ask OpenAI at the end and only when they may.

Blocks for as long as the slowest answer (some seconds with `network`, otherwise far below one), so call it in a thread. Law: total; a check that
fails is a finding itself and does not keep the others from their work.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from codex_manager.config.paths import Paths
from codex_manager.core.errors import CodexManagerError, type_and_place
from codex_manager.doctor import (
    accounts,
    certificates,
    configuration,
    environment,
    keyring,
    ledger,
    permissions,
    proxy,
    upstream,
    vault,
)
from codex_manager.doctor.finding import Area, Finding, bad
from codex_manager.doctor.patient import OpenVault, Patient


__all__ = ["examine"]

type Check = Callable[[Patient], Iterator[Finding]]

HERE: Final[tuple[tuple[Area, Check], ...]] = (
    ("configuration", configuration.check),
    ("vault", vault.check),
    ("master key", keyring.check),
    ("permissions", permissions.check),
    ("ledger", ledger.check),
    ("proxy", proxy.check),
    ("certificates", certificates.check),
    ("environment", environment.check),
)
"""What this machine alone can tell."""
THERE: Final[tuple[tuple[Area, Check], ...]] = (("upstream", upstream.check), ("accounts", accounts.check))
"""What takes a question to OpenAI."""


def examine(
    paths: Paths, environ: Mapping[str, str], *, network: bool, open_vault: OpenVault | None = None
) -> list[Finding]:
    """Look at everything; never raises.

    `network` allows questions to OpenAI: one that needs no key, and one for each account. `open_vault` lends a vault that
    is open already; otherwise the master key comes from the environment or the keyring, and nobody is asked for it.
    """
    patient = Patient(paths=paths, environ=environ, network=network, open_vault=open_vault)
    findings: list[Finding] = []
    for area, check in (*HERE, *(THERE if network else ())):
        try:
            findings += check(patient)
        except CodexManagerError as error:
            findings.append(bad(area, str(error), error.hint))
        except Exception as error:  # noqa: BLE001 - the others go on; its message may hold a secret
            findings.append(
                bad(
                    area,
                    f"this could not be looked at: {type_and_place(error)}",
                    "tell us about it, please: it is a bug",
                )
            )
    return findings
