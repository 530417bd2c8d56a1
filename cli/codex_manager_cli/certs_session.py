"""What the `certs` commands share: the authority, opened as the user's configuration has it, and its errors told.

Law: reading commands leave an authority as it is, whatever hosts the configuration names by now (the proxy makes a new
one when it starts); they only do what is due. A missing one is made.
"""

import contextlib

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from codex_manager.config.paths import Paths
from codex_manager_certs.errors import AuthorityError
from codex_manager_cli.talk import fail, say, warn


if TYPE_CHECKING:  # pydantic and cryptography take their time, and `--help` needs neither
    from codex_manager.config.schema import Config
    from codex_manager_certs.authority import Authority

__all__ = ["bundle_of", "configured_hosts", "opened", "tell", "told"]


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors of the authority as errors of the command line."""
    try:
        yield
    except AuthorityError as error:
        fail(str(error), hint=error.hint, exit_code=error.exit_code)


def opened(paths: Paths) -> "Authority":
    """The authority, made when there is none; the news are told."""
    from codex_manager_certs.authority import Authority

    hosts = configured_hosts(paths)
    exists = Authority.exists(paths.authority_dir)
    if not exists:
        paths.make_dirs()
    with told():
        authority = Authority.open_or_make(paths.authority_dir, None if exists else hosts)
    tell(authority)
    if authority.hosts != hosts:
        warn(
            f"the configuration intercepts {', '.join(sorted(hosts))} by now; the proxy makes a new authority for that"
            " when it starts"
        )
    return authority


def tell(authority: "Authority") -> None:
    """What opening it changed."""
    for sentence in authority.news:
        say(sentence)


def configured_hosts(paths: Paths) -> frozenset[str]:
    """What an authority should vouch for."""
    from codex_manager.config.hosts import intercepted_hosts

    return intercepted_hosts(_config(paths))


def bundle_of(paths: Paths, authority: "Authority") -> Path:
    """The bundle's path; it is up to date."""
    from codex_manager_certs.bundle import write_bundle

    company = _config(paths).upstream.ca_file  # tunnelled connections need its roots as much as our own upstream does
    with told():
        return write_bundle(paths.authority_dir, authority, also=Path(company) if company else None)


def _config(paths: Paths) -> "Config":
    from codex_manager.config.load import load

    return load(paths)
