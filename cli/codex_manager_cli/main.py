"""The entry point: one table of commands, each loaded when it is asked for.

Law: `codex-manager --help` imports click and nothing heavier (tests/project/test_lightness.py), so the table holds
import paths and one-line helps, not commands. Every error a user can cause ends in `talk.fail`, one sentence long.

A command that is new goes into `COMMANDS`, and into a line of `SECTIONS` if none has room for it yet.
"""

import importlib
import os
import sys

import click

from codex_manager import __version__
from codex_manager_cli.lazy import LazyGroup


__all__ = ["COMMANDS", "SECTIONS", "cli", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module:attribute, one-line help); the order is that of completion and of the reference page
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
    "stop": ("codex_manager_cli.stop:stop", "Stop the proxy that runs."),
    "restart": ("codex_manager_cli.stop:restart", "Start the proxy in the background anew."),
    "service": ("codex_manager_cli.service:service", "Start the proxy at login, and whenever it fails."),
    "run": ("codex_manager_cli.run:run", "Run a command that uses the accounts."),
    "env": ("codex_manager_cli.env:env", "Print what leads a shell's programs to the proxy."),
    "certs": ("codex_manager_cli.certs:certs", "The certificate authority for clients of `HTTPS_PROXY`."),
    "tui": ("codex_manager_cli.tui.command:tui", "Look and manage in the terminal, full screen."),
    "status": ("codex_manager_cli.status:status", "What the proxy and its accounts are doing."),
    "logs": ("codex_manager_cli.logs:logs", "What the proxy said."),
    "prices": ("codex_manager_cli.prices:prices", "Show what models cost."),
    "usage": ("codex_manager_cli.usage:usage", "What was used and what it cost."),
    "explain": ("codex_manager_cli.explain:explain", "Why a request went where it went."),
    "simulate": ("codex_manager_cli.simulate:simulate", "Where a request would go, or would have gone."),
    "resource": ("codex_manager_cli.resource:resource", "Which account has a file, a batch, a conversation."),
    "config": ("codex_manager_cli.config:config", "Show and change the configuration."),
    "keys": ("codex_manager_cli.keys:keys", "Local keys that clients send."),
    "vault": ("codex_manager_cli.vault:vault", "Lock, unlock, rekey, verify, back up the vault."),
    "doctor": ("codex_manager_cli.doctor:doctor", "Everything that could be wrong, each with its cure."),
    "help": ("codex_manager_cli.help:help_", "Read about a topic."),
    "completion": ("codex_manager_cli.completion:completion", "Print a shell completion script."),
}

SECTIONS: dict[str, dict[str, str]] = {
    # title: {the commands of a line: what the line says}; a line is shown once one of its commands is in the table
    "Begin": {
        "demo": "See it work in 20 seconds; needs no account.",
        "init": "Make the vault and the configuration.",
    },
    "Accounts": {
        "add, remove": "Add an account; remove one.",
        "list, show": "List the accounts; show one.",
        "edit, rename": "Change an account; give it another label.",
        "enable, disable": "Let an account serve again; keep it from serving.",
        "switch": "Send everything to one account, or back.",
        "import, export": "Take accounts in from a file; write them to one.",
        "refresh": "Ask OpenAI now what the accounts have spent.",
    },
    "Serve": {
        "proxy, web": "Start the proxy; with its page: live calls, dashboard.",
        "stop, restart": "Stop the proxy that runs; start it again.",
        "service": "Start the proxy at login, and whenever it fails.",
        "run, env": "Run a command that uses the accounts; lead a shell.",
        "keys, certs": "Local keys for clients; certificates for `HTTPS_PROXY`.",
    },
    "Look": {
        "tui": "Look and manage in the terminal, full screen.",
        "status, logs": "What the proxy is doing; what it said.",
        "usage, prices": "What was used and what it cost; what models cost.",
        "explain, simulate": "Why a request went where it went; where one would.",
        "resource": "Which account has a file, a batch, a conversation.",
    },
    "Care": {
        "config": "Show and change the configuration.",
        "vault": "Lock, unlock, rekey, verify, back up the vault.",
        "doctor": "Everything that could be wrong, each with its cure.",
        "completion": "Print a shell completion script.",
        "help": "Read about a topic.",
    },
}


def _tell_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    """Ours, and of what decides most about how it behaves."""
    if not value or context.resilient_parsing:
        return
    from importlib import metadata

    click.echo(
        f"codex-manager {__version__}, mitmproxy {metadata.version('mitmproxy')}, Python {'.'.join(map(str, sys.version_info[:3]))}"
    )
    context.exit()


@click.group(
    cls=LazyGroup,
    commands_table=COMMANDS,
    sections=SECTIONS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_tell_version, help="Show the version."
)
@click.option("--debug", is_flag=True, help="Show a traceback (as CODEX_MANAGER_DEBUG=1).")
@click.pass_context
def cli(context: click.Context, /, *, debug: bool) -> None:
    """Several OpenAI accounts behind one endpoint. Start with `demo`, then `init`, `add` and `proxy`; alone it is `tui`."""
    if debug:
        os.environ["CODEX_MANAGER_DEBUG"] = "1"  # processes that we start see it, too
    if context.invoked_subcommand is None:
        page = importlib.import_module("codex_manager_cli.tui.command")
        if not page.on_a_terminal():
            raise click.exceptions.NoArgsIsHelpError(context)
        page.open_page()


def main() -> None:
    """Run the command line; the exit status is 0 ok, 1 failed, 2 usage, 3 vault locked or wrong key."""
    importlib.import_module("codex_manager.vault.process").harden(starts_programs=True)  # any command may hold a key
    talk = importlib.import_module("codex_manager_cli.talk")
    status = talk.run(cli)
    if sys.stderr.isatty():
        importlib.import_module("codex_manager_cli.updates").remind()
    sys.exit(status)
