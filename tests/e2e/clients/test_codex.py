"""Codex CLI, unmodified: `codex exec` as npm installs it."""

import pytest

from tests.support import LOCAL_KEY


pytestmark = [pytest.mark.slow, pytest.mark.clients]
EXEC = ("exec", "--skip-git-repo-check", "--sandbox", "read-only", "--color", "never", "--model", "gpt-5")


@pytest.fixture
def codex(npm):
    return str(npm / ".bin" / "codex")


def test_by_base_url_it_sends_http(stage, codex):
    stage.was_served(stage.run("base-url", codex, *EXEC, "say good morning"))

    assert {(seen.method, seen.path) for seen in stage.fake.log} == {("POST", "/v1/responses")}, stage.seen()


def test_by_its_own_setting_and_our_listener_it_speaks_websocket(stage, codex):
    """`openai_base_url` in config.toml keeps the built-in provider, which opens a WebSocket first."""
    folder = stage.folder / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(f'openai_base_url = "{stage.proxy.base_url}"\n', encoding="utf-8")
    environ = stage.home.environ() | {"CODEX_API_KEY": LOCAL_KEY}
    stage.was_served(stage.start(codex, *EXEC, "say good morning", environ=environ))

    assert ("GET", "/v1/responses", 101) in {(seen.method, seen.path, seen.status) for seen in stage.fake.log}


def test_by_a_provider_in_its_settings_it_sends_http(stage, codex):
    """As docs/clients.md prints it."""
    folder = stage.folder / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""model_provider = "codex-manager"

[model_providers.codex-manager]
name = "OpenAI"
base_url = "{stage.proxy.base_url}"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
""",
        encoding="utf-8",
    )
    environ = stage.home.environ() | {"OPENAI_API_KEY": LOCAL_KEY}
    stage.was_served(stage.start(codex, *EXEC, "say good morning", environ=environ))

    assert {seen.method for seen in stage.fake.log} == {"POST"}, stage.seen()


def test_through_the_proxy_it_speaks_websocket(stage, codex):
    stage.was_served(stage.run("proxy", codex, *EXEC, "say good morning"))

    sockets = [
        seen for seen in stage.fake.log if (seen.method, seen.path, seen.status) == ("GET", "/v1/responses", 101)
    ]
    assert len(sockets) == 1, stage.seen()
