"""The fake as a process: says where it listens, plays a script from a file, leaves a log without keys."""

import http.client
import json
import signal
import subprocess
import sys

from pathlib import Path

import pytest

from tests.testing.raw import CHAT, ask

from codex_manager.testing import FakeOpenAI
from codex_manager.testing.scriptfile import ScriptError, apply, load


SOURCES = Path(__file__).parents[2] / "addon"

SCRIPT = """
accounts:
  - key: sk-process-canary-a
    organization: org-a
    project: proj-a
    script:
      - rate_limited: {retry_after: 2}
      - ok
      - ok: {text: slow}
        delay: 0.05
        slice_into: [100, 0.001]
  - key: sk-process-canary-b
    models: [gpt-4o*]
    always: insufficient_quota
    limit: {requests_per_minute: 2}
rules:
  - {path: /v1/models, script: [{server_error: 502}]}
"""


def post(port, key):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(CHAT), headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM to a process on Windows")
def test_the_process_plays_its_script_and_leaves_a_log_without_keys(tmp_path):
    script, log = tmp_path / "script.yaml", tmp_path / "log.jsonl"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "codex_manager.testing", "--script", str(script), "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=SOURCES) as process:
        try:
            assert process.stdout
            ready = json.loads(process.stdout.readline())
            assert ready["pid"] == process.pid
            assert ready["api_url"] == f"http://127.0.0.1:{ready['port']}/v1"
            assert [post(ready["port"], "sk-process-canary-a")[0] for _ in range(2)] == [429, 200]
            _, body = post(ready["port"], "sk-process-canary-a")
            assert body["choices"][0]["message"]["content"] == "slow"
            assert post(ready["port"], "sk-process-canary-b")[1]["error"]["code"] == "insufficient_quota"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["status"] for line in lines] == [429, 200, 200, 429]
    assert [line["step"] for line in lines][2] == "ok | delay(0.05) | slice_into(100)"
    assert lines[0]["key"] == lines[1]["key"] != lines[3]["key"]
    assert "sk-process-canary" not in log.read_text()


def test_a_bad_script_is_one_sentence_and_exit_1(tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text("accounts: [{key: sk-a, script: [rate_limitd]}]")
    command = [sys.executable, "-m", "codex_manager.testing", "--script", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=SOURCES)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"codex_manager.testing: error: {script}: there is no answer or toxic named 'rate_limitd'"
    )
    assert done.stdout == ""


async def test_a_script_file_sets_the_stage(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    async with FakeOpenAI() as fake:
        load(path, fake)
        key = "sk-process-canary-b"
        assert (await ask(fake, "GET", "/v1/models", key=key)).status == 502
        assert (await ask(fake, "GET", "/v1/models", key=key)).error["code"] == "insufficient_quota"
        codes = [(await ask(fake, key=key)).error["code"] for _ in range(3)]
        assert codes == ["insufficient_quota", "insufficient_quota", "rate_limit_exceeded"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "the file is a mapping"),
        ({"acounts": []}, "unknown fields: acounts"),
        ({"accounts": {}}, None),
        ({"accounts": {"key": "a"}}, "`accounts` is a list"),
        ({"accounts": [{}]}, "an account needs a key"),
        ({"accounts": [{"key": "a", "limits": 1}]}, "unknown fields: limits"),
        ({"accounts": [{"key": "a", "script": "ok"}]}, "`script` is a list of steps"),
        ({"accounts": [{"key": "a", "always": {"rate_limited": {"retry": 2}}}]}, "`rate_limited` does not take"),
        ({"accounts": [{"key": "a", "always": {"ok": None, "garbage": None}}]}, "one answer, not two: ok, garbage"),
        ({"accounts": [{"key": "a", "always": 3}]}, "a step is a name or a mapping"),
        ({"rules": [{"key": "b", "always": "ok"}]}, "no account has the key 'b'"),
        ({"accounts": [{"key": "a", "admin": True}]}, "an admin key needs an organization"),
        ({"accounts": [{"key": "a", "billing": {"limit": 1}}]}, "`billing` does not take"),
        ({"spent": [{"organization": "org-a", "usd": "much"}]}, "`spent` does not take"),
        ({"used": [{"organization": "org-a", "kind": "telepathy"}]}, "`used` does not take"),
        ({"used": ["completions"]}, "`used` is a list of mappings"),
    ],
)
def test_what_a_script_file_gets_wrong_is_named(content, message):
    if message is None:
        apply(content, FakeOpenAI())
    else:
        with pytest.raises(ScriptError, match=message):
            apply(content, FakeOpenAI())


def test_a_script_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "script.yaml"
    path.write_text("accounts: [")
    with pytest.raises(ScriptError, match="neither YAML nor JSON"):
        load(path, FakeOpenAI())
    with pytest.raises(ScriptError, match="cannot be read"):
        load(tmp_path / "none.yaml", FakeOpenAI())


def test_toxics_and_an_answer_combine_in_any_order():
    fake = FakeOpenAI()
    apply(
        {
            "accounts": [
                {"key": "a", "script": [{"delay": 1, "early": None, "rate_limited": None}, {"wire": "no HTTP"}]}
            ]
        },
        fake,
    )
    assert fake.left("a") == 2
