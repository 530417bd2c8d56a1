"""What the checks look at: the places of one profile, its environment, and what more than one of them needs to know.

Law: nothing is changed. What cannot be had is None here and a finding of the check that is about it.
"""

import functools
import shlex

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from codex_manager.config import presence
from codex_manager.config.errors import ConfigError
from codex_manager.config.load import Loaded, read
from codex_manager.config.paths import Paths
from codex_manager.config.presence import RunningProxy
from codex_manager.config.schema import Config
from codex_manager.core.account import Account
from codex_manager.vault import masterkey
from codex_manager.vault.oskeyring import Keyring
from codex_manager.vault.store import Vault


__all__ = ["KEYRING_S", "OpenVault", "Patient", "command"]

KEYRING_S = 5.0
"""How long the system's keyring may take: nobody is asked for a password because of an examination."""

type OpenVault = Callable[[], AbstractContextManager[Vault]]


@dataclass(kw_only=True)
class Patient:
    """One profile. Mutable state: what the checks that went before have learned."""

    paths: Paths
    environ: Mapping[str, str]
    network: bool
    """Whether OpenAI may be asked."""
    open_vault: OpenVault | None
    """Lends the vault where somebody has it open already; otherwise the master key is looked for."""
    accounts: list[Account] = field(default_factory=list)
    """Those of the vault, once it was opened."""

    @functools.cached_property
    def loaded(self) -> Loaded | ConfigError:
        """The configuration, or why there is none."""
        try:
            return read(self.paths, self.environ)
        except ConfigError as error:
            return error

    @property
    def config(self) -> Config:
        """The configuration; the defaults where it cannot be used."""
        return Config() if isinstance(self.loaded, ConfigError) else self.loaded.config

    @functools.cached_property
    def running(self) -> RunningProxy | None:
        """The proxy of this profile, where one runs."""
        return presence.running(self.paths.data_dir)

    def vault(self) -> AbstractContextManager[Vault]:
        """The vault, open.

        Raises:
            VaultError: it is not there, locked, or does not open.
        """
        if self.open_vault is not None:
            return self.open_vault()
        keyring = Keyring(timeout_s=KEYRING_S)
        return masterkey.open_vault(self.paths.vault_file, environ=self.environ, prompt=None, keyring=keyring)


def command(*words: str) -> str:
    """A command of ours, as it can be typed."""
    return shlex.join(["codex-manager", *words])
