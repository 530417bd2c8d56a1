"""The entry point: one table of commands, each loaded when it is asked for.

Law: `codex-manager --help` imports click and nothing heavier (tests/project/test_lightness.py), so the table holds
import paths and one-line helps, not commands. Every error a user can cause ends in `talk.fail`, one sentence long.
"""

import importlib
import os
import sys

import click

from codex_manager import __version__
from codex_manager_cli.lazy import LazyGroup


__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module:attribute, one-line help); the order is the order of `--help`
    "demo": ("codex_manager_cli.demo:demo", "See it work in 20 seconds; needs no account."),
    "init": ("codex_manager_cli.init:init", "Make the vault and the configuration."),
    "add": ("codex_manager_cli.accounts:add", "Add an account."),
    "list": ("codex_manager_cli.accounts:list_", "List the accounts."),
    "show": ("codex_manager_cli.accounts:show", "Show one account."),
    "edit": ("codex_manager_cli.accounts:edit", "Change an account."),
    "rename": ("codex_manager_cli.accounts:rename", "Give an account another label."),
    "enable": ("codex_manager_cli.accounts:enable", "Let an account serve again."),
    "disable": ("codex_manager_cli.accounts:disable", "Keep an account from serving."),
    "remove": ("codex_manager_cli.accounts:remove", "Remove an account."),
    "switch": ("codex_manager_cli.accounts:switch", "Send everything to one account, or back."),
    "import": ("codex_manager_cli.transfer:import_", "Import accounts from a file."),
    "export": ("codex_manager_cli.transfer:export", "Export the accounts, encrypted unless asked."),
    "refresh": ("codex_manager_cli.refresh:refresh", "Ask OpenAI now what the accounts have spent."),
    "proxy": ("codex_manager_cli.proxy:proxy", "Start the proxy."),
    "web": ("codex_manager_cli.proxy:web", "Start the proxy with its page: live calls, dashboard."),
    "run": ("codex_manager_cli.run:run", "Run a command that uses the accounts."),
    "env": ("codex_manager_cli.env:env", "Print what leads a shell's programs to the proxy."),
    "certs": ("codex_manager_cli.certs:certs", "The certificate authority for clients of `HTTPS_PROXY`."),
    "status": ("codex_manager_cli.status:status", "What the proxy and its accounts are doing."),
    "prices": ("codex_manager_cli.prices:prices", "Show what models cost."),
    "usage": ("codex_manager_cli.usage:usage", "What was used and what it cost."),
    "explain": ("codex_manager_cli.explain:explain", "Why a request went where it went."),
    "simulate": ("codex_manager_cli.simulate:simulate", "Where a request would go, or would have gone."),
    "resource": ("codex_manager_cli.resource:resource", "Which account has a file, a batch, a conversation."),
    "config": ("codex_manager_cli.config:config", "Show and change the configuration."),
    "keys": ("codex_manager_cli.keys:keys", "Local keys that clients send."),
    "vault": ("codex_manager_cli.vault:vault", "Lock, unlock, rekey, verify, back up the vault."),
    "completion": ("codex_manager_cli.completion:completion", "Print a shell completion script."),
}


@click.group(
    cls=LazyGroup,
    commands_table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="codex-manager")
@click.option("--debug", is_flag=True, help="Show a traceback (as CODEX_MANAGER_DEBUG=1).")
def cli(*, debug: bool) -> None:
    """Several OpenAI accounts behind one endpoint. Start with `demo`, then `init`, `add` and `proxy`."""
    if debug:
        os.environ["CODEX_MANAGER_DEBUG"] = "1"  # processes that we start see it, too


def main() -> None:
    """Run the command line; the exit status is 0 ok, 1 failed, 2 usage, 3 vault locked or wrong key."""
    importlib.import_module("codex_manager.vault.process").harden(starts_programs=True)  # any command may hold a key
    talk = importlib.import_module("codex_manager_cli.talk")
    sys.exit(talk.run(cli))
