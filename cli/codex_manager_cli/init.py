"""`init`: the vault and the configuration, made once; what exists is left alone and said.

Law: idempotent. A vault that exists is never touched, whatever the options say.
"""

import os

import click

from codex_manager.config.paths import Paths
from codex_manager.vault.errors import VaultExistsError
from codex_manager.vault.masterkey import VARIABLE
from codex_manager_cli import session, terminal
from codex_manager_cli.talk import fail, say


__all__ = ["init", "make_vault", "prompt_option"]

NEXT = """next:
  codex-manager add LABEL      adds an account and asks for its key
  codex-manager proxy          starts the proxy on http://127.0.0.1:8080
  codex-manager list           shows the accounts"""

prompt_option = click.option(
    "--prompt",
    "choose",
    is_flag=True,
    help="Choose the master key yourself instead of keeping a random one in the keyring.",
)


@click.command()
@prompt_option
def init(*, choose: bool) -> None:
    """Make the vault and the configuration, where they are missing.

    The vault's master key is CAM_MASTER_KEY if that is set, else a random one kept in the system's keyring.
    """
    from codex_manager.config import edit as config_edit  # pydantic: not for `init --help` and `vault --help`

    paths = Paths.locate()
    make_vault(paths, choose=choose)
    if config_edit.create(paths):
        say(f"made the configuration {paths.config_file}: every setting with its default, as a comment")
    else:
        say(f"the configuration {paths.config_file} exists and stays as it is")
    say(NEXT)


def make_vault(paths: Paths, *, choose: bool) -> None:
    """Make the vault if there is none; say which."""
    if session.vault_there(paths):
        say(f"the vault {paths.vault_file} exists and stays as it is")
        return
    if choose and os.environ.get(VARIABLE):
        fail(
            f"{VARIABLE} is set, and would be used instead of what you type",
            hint="unset it, or leave out --prompt",
            exit_code=2,
        )
    if choose and not terminal.can_ask():
        fail("--prompt needs a terminal to ask on", hint=f"set {VARIABLE} instead", exit_code=2)
    try:
        if choose:
            session.made(paths, terminal.ask_new("master key")).close()
            say(f"made the vault {paths.vault_file}; its key is what you typed: nothing opens the vault without it")
        else:
            session.made_saying(paths).close()
    except VaultExistsError:  # another process made it meanwhile
        say(f"the vault {paths.vault_file} exists and stays as it is")
