"""`certs`: the certificate authority that the forward proxy uses, shown, exported, renewed.

Law: what is printed is public; the keys stay in their file.
"""

import os

from pathlib import Path
from typing import Any

import click

from codex_manager.config.paths import Paths
from codex_manager.core.telling.columns import columns
from codex_manager_cli.certs_doctor import doctor
from codex_manager_cli.certs_session import bundle_of, configured_hosts, opened, tell, told
from codex_manager_cli.certs_trust import trust
from codex_manager_cli.talk import emit_json, fail, say, warn


__all__ = ["certs"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def certs() -> None:
    """The certificate authority for `HTTPS_PROXY`: it can vouch for the intercepted hosts and for nothing else."""


certs.add_command(trust)
certs.add_command(doctor)


@certs.command()
@_json_option
def show(*, as_json: bool) -> None:
    """Show the authority: fingerprint, hosts, end, files. Makes it when there is none."""
    paths = Paths.locate()
    authority = opened(paths)
    state = authority.state
    data: dict[str, Any] = {
        "name": authority.name,
        "sha256": authority.fingerprint_sha256,
        "hosts": sorted(authority.hosts),
        "valid_from": state.active.certificate.not_valid_before_utc.isoformat(),
        "valid_until": authority.expires_at.isoformat(),
        "successor_signs_from": state.switch_at.isoformat() if state.switch_at else None,
        "previous": len(state.previous),
        "certificates": str(authority.certificate_file),
        "bundle": str(bundle_of(paths, authority)),
    }
    if as_json:
        emit_json(data)
        return
    names = {
        "name": "name", "sha256": "SHA-256", "hosts": "vouches for", "valid_from": "valid from", "valid_until": "valid until",
        "successor_signs_from": "successor from", "previous": "previous ones", "certificates": "certificates", "bundle": "bundle",
    }  # fmt: skip
    rows = [
        (names[key], ", ".join(value) if isinstance(value, list) else str(value))
        for key, value in data.items()
        if value
    ]
    click.echo(columns(rows))
    say("the bundle holds the system's roots, too; `codex-manager certs env` tells a shell's programs about it")


@certs.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--bundle", is_flag=True, help="With the system's roots, for programs that take one file instead of adding."
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def export(file: Path | None, *, bundle: bool, force: bool) -> None:
    """Write the certificates as PEM to FILE, or to stdout. There is no key in it."""
    paths = Paths.locate()
    authority = opened(paths)
    content = bundle_of(paths, authority).read_bytes() if bundle else authority.certificates_pem
    if file is None or str(file) == "-":
        click.echo(content, nl=False)
        return
    try:
        with file.open("wb" if force else "xb") as out:
            out.write(content)
    except FileExistsError:
        fail(f"{file} exists", hint="give another name, or --force", exit_code=2)
    say(f"wrote {file}")


@certs.command()
@click.option(
    "--shell", type=click.Choice(["sh", "fish", "powershell"]), help="For which shell; else the one of $SHELL."
)
@click.option("--unset", is_flag=True, help="Print what takes the variables back instead.")
@_json_option
def env(*, shell: str | None, unset: bool, as_json: bool) -> None:
    r"""Print the variables that make a shell's programs trust the authority.

    \b
    eval "$(codex-manager certs env)"                sh, bash, zsh
    codex-manager certs env | source                 fish
    codex-manager certs env | Out-String | iex       PowerShell

    `codex-manager env --via proxy` prints these and the proxy's own.
    """
    from codex_manager_certs.environment import VARIABLES, client_environment, render, shell_of

    chosen = shell or shell_of(os.environ)
    if unset:
        click.echo(render(dict.fromkeys(variable.name for variable in VARIABLES), chosen), nl=False)
        return
    paths = Paths.locate()
    authority = opened(paths)
    bundle = bundle_of(paths, authority)
    variables = client_environment(bundle, authority.certificate_file)
    _warn_of_loss(bundle)
    if as_json:
        readers = {variable.name: variable.readers for variable in VARIABLES}
        emit_json([{"name": name, "value": value, "for": readers[name]} for name, value in variables.items()])
    else:
        click.echo(render(variables, chosen), nl=False)


@certs.command()
@click.option(
    "--now", "at_once", is_flag=True, help="The new one signs at once; running clients must be started again."
)
@click.option(
    "--forget-old",
    is_flag=True,
    help="The new one signs at once and the bundle knows no other: when a key may be known, or the file is damaged.",
)
def rotate(*, at_once: bool, forget_old: bool) -> None:
    """Make a new authority. It signs from tomorrow; until then both are in the bundle and nothing breaks.

    This happens by itself in time before an authority ends.
    """
    from codex_manager_certs.authority import Authority

    paths = Paths.locate()
    with told():
        if forget_old:
            paths.make_dirs()
            authority = Authority.replace(paths.authority_dir, configured_hosts(paths))
        else:
            authority = Authority.rotate(paths.authority_dir, at_once=at_once)
    tell(authority)
    bundle_of(paths, authority)
    if (paths.authority_dir / "offered").is_dir():
        say("the system or a browser was told of the old one: run `codex-manager certs trust --remove`, then --install")


def _warn_of_loss(bundle: Path) -> None:
    """The session may trust a company's authority by a variable that we are about to replace."""
    from codex_manager_certs.bundle import missing_from

    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        file = os.environ.get(name)
        lost = missing_from(bundle, Path(file)) if file else 0
        if file and lost:
            warn(
                f"{name} names {file}, and the bundle lacks {lost} of its certificates; to add them:"
                f" codex-manager config set upstream.ca_file {file}"
            )
            return
