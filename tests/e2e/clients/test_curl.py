"""curl, with HTTP/2 through the proxy where it can."""

import json
import shutil

import pytest

from tests.e2e.clients.conftest import missing
from tests.e2e.clients.stage import TEXT


pytestmark = [pytest.mark.slow, pytest.mark.clients]
ASK = """curl --no-progress-meter --fail-with-body --max-time 30 "$OPENAI_BASE_URL/chat/completions" \
-H "Authorization: Bearer $OPENAI_API_KEY" -H "Content-Type: application/json" """
BODY = """-d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}'"""
STREAMED = BODY.replace('"model"', '"stream": true, "model"')


@pytest.fixture(autouse=True)
def curl():
    if shutil.which("curl") is None:
        missing("there is no curl here")


def test_a_chat(stage, way):
    stage.was_served(stage.run(way, "sh", "-c", ASK + BODY))


def test_a_stream(stage, way):
    ended = stage.run(way, "sh", "-c", f"{ASK} --no-buffer {STREAMED}")

    stage.was_served(ended, expected="data: [DONE]")
    chunks = [json.loads(line[6:]) for line in ended.out.splitlines() if line.startswith("data: {")]
    assert len(chunks) > 3
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == TEXT


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_chat_in_each_version_of_http(stage, version):
    ended = stage.run("proxy", "sh", "-c", f"{ASK} --http{version} -w '%{{http_version}}' {BODY}")

    stage.was_served(ended)
    assert ended.out.endswith(version)


def test_a_file_goes_up(stage, way):
    (stage.folder / "data.jsonl").write_bytes(b"{}\n" * 100_000)
    ask = ASK.replace("chat/completions", "files").replace('-H "Content-Type: application/json"', "")
    stage.was_served(
        stage.run(way, "sh", "-c", f"{ask} -F purpose=batch -F file=@data.jsonl"), expected='"bytes": 300000'
    )


def test_the_environment_of_a_shell_is_enough(stage):
    """`eval "$(codex-manager env)"` and nothing else."""
    shell = f'eval "$(codex-manager env --via proxy --shell sh)" && {ASK} {BODY}'
    stage.was_served(stage.start("sh", "-c", shell, environ=stage.home.environ()))
