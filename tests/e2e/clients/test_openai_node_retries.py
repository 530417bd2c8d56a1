"""What openai-node makes of each answer of ours; tests/e2e/test_client_retries.py has the cases and the same for Python."""

import json
import os
import shutil
import subprocess

import pytest

from tests.e2e.clients.stage import SCRIPTS
from tests.e2e.test_client_retries import CASES, PATIENCE_S, prepared, shown
from tests.support import LOCAL_KEY


pytestmark = [pytest.mark.slow, pytest.mark.clients]


def test_how_often_it_comes_back_and_how_long_it_waits(npm, tmp_path, capsys):
    rows = []
    with prepared(tmp_path) as proxy_for:
        for case in CASES:
            environ = {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "CODEX_MANAGER_TEST_MODULES": str(npm),
                "OPENAI_BASE_URL": proxy_for(case).base_url,
                "OPENAI_API_KEY": "sk-wrong" if case.model == "wrong-key" else LOCAL_KEY,
            }
            command = [str(shutil.which("node")), str(SCRIPTS / "openai_node_retries.mjs"), case.model]
            ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
            assert ended.returncode == 0, ended.stderr
            said = json.loads(ended.stdout)
            rows.append((case, said["requests"], said["took"]))
            assert (said["status"], said["code"]) == (case.status, case.code), case
            requests, waits = case.in_node or (case.requests, case.waits)
            assert said["requests"] == requests, case
            assert waits[0] - 0.05 <= said["took"] <= waits[1] + PATIENCE_S, (case, said)
    with capsys.disabled():
        print(f"\n{shown('openai-node', rows)}")
