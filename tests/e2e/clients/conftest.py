"""A room where `api.openai.com` is a scripted fake over TLS; in front of it a proxy whose first two accounts fail."""

import os
import shutil

from pathlib import Path

import pytest

from tests.e2e.clients.openai_tls import certify
from tests.e2e.clients.room import NoRoomError, Room
from tests.e2e.clients.stage import HOST, KEYS, TEXT, Stage
from tests.support import account, make_home, running_proxy

from codex_manager.testing import FakeOpenAI, answers, in_thread


NPM = os.environ.get("CODEX_MANAGER_NPM")
"""The folder that `npm install` filled. Read here, for tests see no such variable of the session."""
TOOLS = os.environ.get("CODEX_MANAGER_TOOLS")
"""The environment with what requirements.txt names."""
REQUIRED = bool(os.environ.get("CODEX_MANAGER_REQUIRE_CLIENTS"))
"""Whether a client that is not there is a failure (.ci/run) and not a reason to skip."""


def missing(reason: str) -> None:
    """Skip, or fail where nothing may be missing."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def room(tmp_path_factory):
    """Made once; each test has its own servers in it."""
    try:
        with Room(tmp_path_factory.mktemp("room"), HOST) as made:
            yield made
    except NoRoomError as error:
        missing(f"{error}; these tests need root, or `unshare --map-root-user`, on Linux")


@pytest.fixture
def certified(tmp_path):
    """OpenAI's certificate, by a test authority."""
    return certify(tmp_path, HOST)


@pytest.fixture
def fake(room, certified):
    """OpenAI, at the real name and port."""
    server = FakeOpenAI(port=443, ssl_context=certified.context, keep_body=8 << 20)
    with room.inside(in_thread(server)):
        for label, key in KEYS.items():
            server.account(key, organization=f"org-{label}", project=f"proj-{label}")
        server.always(KEYS["limited"], answers.rate_limited(retry_after=60))
        server.always(KEYS["revoked"], answers.invalid_key())
        server.always(KEYS["healthy"], answers.ok(TEXT))
        yield server


@pytest.fixture
def stage(room, fake, certified, isolated_home, tmp_path):
    """The proxy as a process, `limited` and `revoked` first in line; nothing but the authority of the upstream is set."""
    accounts = [account(label, key, priority=-n) for n, (label, key) in enumerate(KEYS.items())]
    home = make_home(
        isolated_home, accounts, f"routing:\n  strategy: priority\nupstream:\n  ca_file: {certified.ca_file}\n"
    )
    folder = tmp_path / "client home"
    folder.mkdir()
    with room.inside(running_proxy(home)) as proxy:
        yield Stage(room, fake, home, proxy, folder)


@pytest.fixture(params=["base-url", "proxy"])
def way(request):
    """Both ways in."""
    return request.param


@pytest.fixture
def npm():
    """The folder of the modules."""
    if not NPM or not (Path(NPM) / "node_modules").is_dir():
        missing("CODEX_MANAGER_NPM names no folder with the clients of tests/e2e/clients/package.json")
    if shutil.which("node") is None:
        missing("there is no node here")
    return Path(str(NPM)) / "node_modules"


@pytest.fixture
def tools():
    """Where the tools of requirements.txt are."""
    if not TOOLS or not (Path(TOOLS) / "bin" / "llm").exists():
        missing("CODEX_MANAGER_TOOLS names no environment with what tests/e2e/clients/requirements.txt lists")
    return Path(str(TOOLS)) / "bin"
