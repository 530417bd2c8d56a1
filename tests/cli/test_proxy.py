"""`proxy` becomes the proxy process: same process id, no secret on its command line, bad settings told before that."""

import os
import re
import signal
import subprocess

import psutil
import pytest

from tests.cli.console import COMMAND, PATIENCE, run

from codex_manager.config.paths import Paths


def test_it_becomes_the_proxy_and_stops_on_a_signal(accounts):
    """The process started is the one that listens; its command line holds the address and no key."""
    process = subprocess.Popen(
        [*COMMAND, "proxy", "--bind", "127.0.0.1:0", "--api-key", "sk-given-on-the-command-line"],
        env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if re.search(r"listening on http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("".join(said))
        arguments = psutil.Process(process.pid).cmdline()
        assert arguments[1:] == ["-m", "codex_manager.proxy", "--bind", "127.0.0.1:0"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
        process.stderr.close()
    assert "warning: a key on the command line is visible to other programs" in said[0]


@pytest.mark.parametrize(
    ("arguments", "config", "says"),
    [
        (["--bind", "nonsense"], "", "--bind"),
        (["--bind", "127.0.0.1:99999"], "", "--bind"),
        (["--bind", "0.0.0.0:8080"], "", "--bind"),
        ([], "proxy:\n  bind: 127.0.0.1:1\n", "config.yaml line 2"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_starts(arguments, config, says, accounts):
    """In this very process: had it become the proxy, this test would be gone."""
    if config:
        Paths.locate().config_file.write_text(config, encoding="utf-8")
    outcome = run("proxy", *arguments)
    assert outcome.status == 1
    assert says in outcome.err.splitlines()[0]
