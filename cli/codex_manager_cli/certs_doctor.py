"""`certs doctor`: lets every client stack of this machine open TLS to the authority, and says which believe it.

Law: nothing goes to the network; the verdicts come from real handshakes on loopback.
"""

import os

import click

from codex_manager.config.paths import Paths
from codex_manager.core.telling.columns import columns
from codex_manager_cli.certs_session import bundle_of, opened
from codex_manager_cli.talk import emit_json, fail, say


__all__ = ["doctor"]


@click.command()
@click.argument("clients", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, clients: tuple[str, ...], *, as_json: bool) -> None:
    """Try which clients of this machine trust the authority: now, and with the variables of `certs env`.

    CLIENTS are parts of names, such as `node curl`; without any, every client found is tried.

    The exit status is 1 when one does not even with the variables.
    """
    from codex_manager_certs.doctor import examine
    from codex_manager_certs.environment import client_environment
    from codex_manager_certs.probes import find_probes

    paths = Paths.locate()
    authority = opened(paths)
    variables = client_environment(bundle_of(paths, authority), authority.certificate_file)
    host = "api.openai.com" if authority.covers("api.openai.com") else min(authority.hosts)
    probes = find_probes(os.environ, host)
    if clients:
        probes = [probe for probe in probes if any(part.lower() in probe.name.lower() for part in clients)]
    if not probes:
        fail("none of these clients is on this machine", hint="codex-manager certs doctor tries every one it finds")
    say(f"asking {len(probes)} client stacks to open TLS to {host}, on this machine; some take a few seconds")
    findings = examine(authority, host, probes, os.environ, variables)
    if as_json:
        emit_json([
            {
                "client": found.probe.name,
                "program": found.probe.program,
                "trusts_now": found.now,
                "trusts_with_env": found.with_variables,
                "lacks": found.why or None,
            }
            for found in findings
        ])  # fmt: skip
    elif findings:
        rows = [("CLIENT", "NOW", "WITH certs env", "LACKS", "PROGRAM")]
        rows += [
            (found.probe.name, _word(found.now), _word(found.with_variables), found.why, found.probe.program)
            for found in findings
        ]
        click.echo(columns(rows))
    if any(found.with_variables and not found.now for found in findings):
        say("`codex-manager run` sets what is lacking for one command, `codex-manager certs env` for a shell")
    if not all(found.with_variables for found in findings):
        say("a client that trusts us in neither way can use the base URL instead: docs/certificates.md")
        ctx.exit(1)


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
