"""`certs trust`: prints what the system and its browsers need to trust the authority, and does it when told to.

Law: without --install or --remove nothing outside our own folder is touched. stdout is commands that can be run as
they stand.
"""

import click

from codex_manager.config.paths import Paths
from codex_manager_cli.certs_session import opened, told
from codex_manager_cli.talk import fail, say


__all__ = ["trust"]


@click.command()
@click.option("--install", is_flag=True, help="Run the commands: the system and its browsers trust the authority.")
@click.option("--remove", is_flag=True, help="Run the opposite: every authority of ours is taken out again.")
def trust(*, install: bool, remove: bool) -> None:
    """Print the commands that make the system trust the authority; most clients need `certs env` only."""
    from codex_manager_certs.machine import Machine
    from codex_manager_certs.trust_store import forget_offered, install_plans, remove_plans

    if install and remove:
        fail("--install and --remove are opposites", exit_code=2)
    authority = opened(Paths.locate())
    machine = Machine.this()
    with told():
        plans = (remove_plans if remove else install_plans)(authority, machine)
    for plan in plans:
        if not plan.steps:
            say(f"{plan.store}: {plan.note}")
        elif not (install or remove):
            click.echo(f"# {plan.store}")
            for step in plan.steps:
                click.echo(machine.line(step))
        else:
            with told():
                done = [machine.run(step) for step in plan.steps]
            changed = any(done)
            said = "forgot every authority of ours" if remove else "trusts the authority"
            say(f"{plan.store} {said}" if changed else f"{plan.store}: nothing of ours is in it")
    if remove:
        with told():
            forget_offered(authority)
    elif not install:
        say("this is what `codex-manager certs trust --install` runs; most clients need `codex-manager certs env` only")
    elif not any(plan.steps for plan in plans):
        fail("there is no store here that could be told", hint="use `codex-manager certs env`")
