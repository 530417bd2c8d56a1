"""What can be changed from the terminal's page, each wish one call that blocks: do it beside the loop.

Accounts are changed through the desk, settings through the configuration's editor, the proxy is started and stopped by the commands
that do it: nothing here knows a rule of its own. Law: a key that was typed is handed on by a pipe, never on a command line.
"""

import dataclasses
import json
import subprocess
import sys

from collections.abc import Mapping, Sequence
from typing import Any, Final

from codex_manager.accounts.desk import Desk, Done
from codex_manager.accounts.lookup import by_id
from codex_manager.accounts.public import as_data
from codex_manager.config import presence
from codex_manager.config.edit import set_text
from codex_manager.config.paths import Paths
from codex_manager.core.account import Account
from codex_manager.core.errors import CodexManagerError
from codex_manager.core.snapshot import Snapshot
from codex_manager_cli import ending
from codex_manager_cli.tui.keyholder import Keyholder
from codex_manager_cli.tui.words import amount, plain


__all__ = ["Deeds", "ProxyError"]

START_S: Final = 45.0
"""For a proxy to serve; one second is usual, and `background` gives up before."""
LOGS: Final = "`codex-manager logs` says more"


class ProxyError(CodexManagerError):
    """A command that starts or stops the proxy did not do it."""


class Deeds:
    """No state of its own but who has the vault."""

    def __init__(self, paths: Paths, keyholder: Keyholder) -> None:
        self.paths = paths
        self.keyholder = keyholder

    @property
    def desk(self) -> Desk:
        """Who changes accounts."""
        return Desk(self.paths, self.keyholder.environ, self.keyholder.lend)

    def account(self, account_id: str) -> Account:
        """As it is stored.

        Raises:
            AccountNotFoundError: it is not there any more.
        """
        with self.keyholder.lend() as vault:
            return by_id(vault, account_id)

    def public(self, account_id: str) -> dict[str, Any]:
        """The same for a form: never a key."""
        return as_data(self.account(account_id), pinned=self.pinned() == account_id)

    def pinned(self) -> str | None:
        """The id of the account that everything is switched to."""
        return self.desk.listed()[1]

    def add(self, values: Mapping[str, object], *, online: bool) -> Done:
        """One more account; see `Desk.add`. A vault whose key was chosen is made first."""
        made = self.keyholder.make_chosen()
        done = self.desk.add(values, online=online)
        if not made:
            return done
        note = f"made the vault {self.paths.vault_file}; its key is what you typed: remember it"
        return dataclasses.replace(done, notes=(*done.notes, note))

    def edit(self, account_id: str, changes: Mapping[str, object], *, online: bool) -> Done:
        """Change one; see `Desk.edit`."""
        return self.desk.edit(account_id, changes, online=online)

    def remove(self, account_id: str) -> str:
        """Take it out of the vault; the sentence that says so."""
        return f"{self.desk.remove(account_id).label!r} and its key are out of the vault"

    def enable(self, account_id: str, *, on: bool) -> str:
        """Let it serve, or keep it from serving; the sentence that says so."""
        account = self.desk.enable(account_id, on)
        return f"{account.label!r} serves again" if on else f"{account.label!r} is kept from serving"

    def switch(self, account_id: str | None) -> str:
        """Send everything to one account, or back; the sentence that says so."""
        account = self.desk.switch(account_id)
        return (
            f"everything goes to {account.label!r} now; s again takes that back"
            if account
            else "the strategy chooses again"
        )

    def check(self, account_id: str) -> tuple[str, bool]:
        """Ask OpenAI whether its key is good: a sentence, and whether it is."""
        label, finding = self.account(account_id).label, self.desk.check(account_id)
        detail = f" ({plain(finding.detail, 120)})" if finding.detail else ""
        said = {
            "good": f"OpenAI accepts the key of {label!r}",
            "refused": f"OpenAI refuses the key of {label!r}",
            "limited": f"OpenAI knows the key of {label!r} but would not serve it right now",
            "unknown": f"OpenAI could not be asked about the key of {label!r}",
        }[finding.verdict]
        return said + detail, finding.verdict == "good"

    def strategy(self, name: str) -> str:
        """Have requests go by this one from now on; the sentence that says so."""
        loaded = set_text(self.paths, "routing.strategy", name, self.keyholder.environ)
        in_force = loaded.config.routing.strategy
        if in_force != name:
            return f"{name} is in the configuration, but {in_force} is in force: a variable of the environment overrides it"
        return f"requests go by {name} now"

    def ask_openai(self) -> list[str]:
        """Ask what the enabled accounts have spent; a sentence for each."""
        from codex_manager.config.load import load
        from codex_manager_cli import refresh

        config = load(self.paths, self.keyholder.environ)
        accounts = [each for each in self.desk.listed()[0] if each.enabled]
        snapshots = refresh.ask_all(accounts, config, refresh.projects(self.paths))
        refresh.keep(self.paths, config, snapshots)
        return [_told(each) for each in snapshots]

    # The proxy -------------------------------------------------------------------------------------------------------

    def start(self, arguments: Sequence[str] = ()) -> str:
        """Start the proxy in the background; the sentence that says where it serves.

        Raises:
            ProxyError: it did not start; the error says what it said.
        """
        key = self.keyholder.typed
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "codex_manager_cli.tui.starter", *arguments],
                input=f"{key.reveal()}\n" if key is not None else "\n",
                capture_output=True,
                text=True,
                timeout=START_S,
                start_new_session=True,  # Ctrl-C here is not for it
                check=False,
            )
            told = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            raise ProxyError(f"the proxy did not start within {START_S:.0f} s", hint=LOGS) from None
        except (OSError, ValueError):
            raise ProxyError("the proxy could not be started", hint="try `codex-manager proxy --background`") from None
        if "error" in told:
            raise ProxyError(plain(told["error"], 300), hint=plain(told["hint"], 300) if told.get("hint") else None)
        return f"the proxy serves at {plain(told['address'])}; it stays when you quit here"

    def stop(self) -> str:
        """Stop it; what is under way may finish.

        Raises:
            CodexManagerError: it did not end in time, or is not ours to end.
        """
        running = presence.running(self.paths.data_dir)
        if running is None:
            return "no proxy runs"
        if running.for_commands:
            raise ProxyError(
                "this proxy serves commands of `codex-manager run` and ends with the last of them",
                hint="to stop it under them: `codex-manager stop --force`",
            )
        took = ending.end(self.paths.data_dir, running, lambda _: None, force=False)
        again = "; a service keeps it running, so it starts again" if running.service else ""
        return f"the proxy was stopped after {took:.1f} s{again}"

    def restart(self) -> str:
        """Start it again as it was started.

        Raises:
            CodexManagerError: it does not run in the background, or did not stop or start.
        """
        running = presence.running(self.paths.data_dir)
        if running is None:
            return self.start()
        if not (running.detached or running.service):
            raise ProxyError(
                "this proxy does not run in the background, so it cannot be started again from here",
                hint="stop it where it runs; S starts one in the background then",
            )
        said = self.stop()
        return said if running.service else self.start(running.arguments)


def _told(snapshot: Snapshot) -> str:
    """What OpenAI said of one account."""
    label = plain(snapshot.account, 64)
    if snapshot.today is None and snapshot.month is None:
        return f"{label}: {plain(snapshot.error or 'OpenAI told nothing', 160)}"
    figures = [
        f"{amount(float(usd))} {when}"
        for usd, when in ((snapshot.today, "today"), (snapshot.month, "this month"))
        if usd is not None
    ]
    return f"{label}: {', '.join(figures)} by OpenAI's own figures"
