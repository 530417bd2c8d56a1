"""Where configuration and data live on this machine.

Law: `CODEX_MANAGER_HOME` moves all of it into one folder (tests, second profiles); otherwise the platform's own
places are used, as platformdirs knows them. This module makes folders, never files.
"""

import os

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from codex_manager.config.errors import ConfigError


__all__ = ["HOME_VARIABLE", "Paths"]

HOME_VARIABLE = "CODEX_MANAGER_HOME"
_NAME = "codex-manager"


@dataclass(frozen=True, slots=True)
class Paths:
    """All places of one profile; absolute."""

    config_dir: Path
    data_dir: Path

    @property
    def config_file(self) -> Path:
        return self.config_dir / "config.yaml"

    @property
    def vault_file(self) -> Path:
        return self.data_dir / "vault.db"

    @property
    def ledger_file(self) -> Path:
        """What requests used and cost (codex_manager.ledger)."""
        return self.data_dir / "ledger.db"

    @property
    def authority_dir(self) -> Path:
        """The certificate authority's files (codex_manager_certs)."""
        return self.data_dir / "ca"

    @classmethod
    def locate(cls, environ: Mapping[str, str] = os.environ) -> "Paths":
        """The places for this environment; nothing is created. An empty `CODEX_MANAGER_HOME` counts as not set."""
        home = environ.get(HOME_VARIABLE, "")
        if home:
            # os.path, not pathlib: `..` goes, links stay, and ~somebody who is not there is no exception
            folder = Path(os.path.abspath(os.path.expanduser(home)))  # noqa: PTH100, PTH111 - `..` goes, links stay; an unknown `~user` stays, too
            return cls(config_dir=folder, data_dir=folder)
        return cls(
            config_dir=Path(platformdirs.user_config_dir(_NAME, appauthor=False)),
            data_dir=Path(platformdirs.user_data_dir(_NAME, appauthor=False)),
        )

    def make_dirs(self) -> None:
        """Create both folders, readable by the owner alone; folders that exist are left as they are.

        Raises:
            ConfigError: a folder cannot be made; the sentence says which and why.
        """
        for folder in (self.config_dir, self.data_dir):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except FileExistsError:
                raise ConfigError(
                    f"{folder} is a file where a folder is needed", hint=f"move it away, or set {HOME_VARIABLE}"
                ) from None
            except OSError as error:
                raise ConfigError(
                    f"the folder {folder} cannot be created: {(error.strerror or str(error)).lower()}",
                    hint=f"make its parent writable, or set {HOME_VARIABLE} to a folder of your own",
                ) from None
