"""What every test of the proxy's own process does not need to do again."""

import functools

import pytest

from codex_manager_certs.trust import upstream_context


@pytest.fixture(scope="session", autouse=True)
def system_roots_read_once():
    """Each runtime reads the system's certificates, 50 ms of work; here one reading serves all that name no `ca_file`."""
    of_the_system = functools.cache(upstream_context)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "codex_manager.proxy.upstream.upstream_context",
            lambda ca_file=None: of_the_system() if ca_file is None else upstream_context(ca_file),
        )
        yield
