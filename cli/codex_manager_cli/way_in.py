"""Puts together where a command is led: by the base URL, or through the proxy with our certificate authority.

Knows the configuration and the authority's files. Law: the bundle is brought up to date before anybody is told of it.
"""

from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager_cli.guest_environment import Leading
from codex_manager_cli.guests import Choice
from codex_manager_cli.talk import fail, say


__all__ = ["leading"]


def leading(paths: Paths, choice: Choice, url: str, key: Secret) -> Leading:
    """What the command's environment is made of.

    Raises:
        UserError: the proxy is wanted, and settings or certificate files do not allow it.
    """
    codex = choice.name == "codex"
    if choice.way == "base-url":
        return Leading(way="base-url", url=url, key=key, trust={}, hosts=frozenset(), codex=codex)
    from pathlib import Path

    from codex_manager.config.hosts import intercepted_hosts
    from codex_manager.config.load import load
    from codex_manager_certs.authority import Authority
    from codex_manager_certs.bundle import write_bundle
    from codex_manager_certs.environment import client_environment
    from codex_manager_certs.errors import AuthorityError

    config = load(paths)
    if not config.forward.enabled:
        fail(
            "the way through HTTPS_PROXY is turned off",
            hint="use --via base-url, or `codex-manager config set forward.enabled true`",
        )
    hosts = intercepted_hosts(config)
    also = Path(config.upstream.ca_file) if config.upstream.ca_file else None
    try:
        authority = Authority.open_or_make(paths.authority_dir, hosts)
        bundle = write_bundle(paths.authority_dir, authority, also=also)
    except AuthorityError as error:
        fail(str(error), hint=error.hint, exit_code=error.exit_code)
    for sentence in authority.news:
        say(sentence)
    trust = client_environment(bundle, authority.certificate_file)
    return Leading(way="proxy", url=url, key=key, trust=trust, hosts=hosts, codex=codex)
