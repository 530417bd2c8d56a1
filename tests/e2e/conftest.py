"""Three accounts behind a real proxy process, and the official SDK pointed at it."""

import openai
import pytest

from tests.support import LOCAL_KEY, account, make_home, running_proxy

from codex_manager.testing import FakeOpenAI, in_thread


KEYS = {label: f"sk-canary-{label}-0123456789abcdef" for label in ("limited", "revoked", "healthy")}


@pytest.fixture
def fake():
    """A fake OpenAI that knows the three keys."""
    with in_thread(FakeOpenAI(keep_body=64 << 20)) as server:
        for label, key in KEYS.items():
            server.account(key, organization=f"org-{label}", project=f"proj-{label}")
        yield server


@pytest.fixture
def home(fake, isolated_home):
    """A vault with the three accounts, `limited` first in line."""
    accounts = [account(label, key, priority=-n) for n, (label, key) in enumerate(KEYS.items())]
    config = f"proxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: priority\n"
    return make_home(isolated_home, accounts, config)


@pytest.fixture
def proxy(home):
    """The proxy as a process of its own."""
    with running_proxy(home) as process:
        yield process


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """An upstream and a proxy as above for a whole module: starting one costs more than most of what is asked of it."""
    with in_thread(FakeOpenAI(keep_body=64 << 20)) as upstream:
        for label, key in KEYS.items():
            upstream.account(key, organization=f"org-{label}", project=f"proj-{label}")
        accounts = [account(label, key, priority=-n) for n, (label, key) in enumerate(KEYS.items())]
        config = f"proxy:\n  openai_base_url: {upstream.base_url}\nrouting:\n  strategy: priority\n"
        home = make_home(tmp_path_factory.mktemp("stage") / "home", accounts, config)
        home.environment["HOME"] = str(home.path)
        with running_proxy(home) as process:
            yield upstream, process


@pytest.fixture
def shared_fake(stage):
    """The module's fake with no script and nothing seen."""
    stage[0].clear()
    stage[0].log.clear()
    return stage[0]


@pytest.fixture
def shared_proxy(stage):
    """The module's proxy; what it learned of the accounts in tests before stays. For tests that such cannot disturb."""
    return stage[1]


@pytest.fixture
def client(proxy):
    """The official SDK, its own retries off: it gets what the proxy gave."""
    with openai.OpenAI(api_key=LOCAL_KEY, base_url=proxy.base_url, timeout=15, max_retries=0) as sdk:
        yield sdk
