"""`doctor`: what the examination finds, as a page, as JSON and as an exit status. What it looks at is in tests/doctor."""

import pytest

from tests.cli import console

from codex_manager.config.paths import Paths
from codex_manager.testing import FakeOpenAI, in_thread


QUIET = "proxy: {{bind_addr: '127.0.0.1:0', openai_base_url: '{}'}}\nweb: {{address: '127.0.0.1:0'}}\n"


@pytest.fixture
def configured(accounts):
    def configure(url="http://127.0.0.1:9"):
        Paths.locate().config_file.write_text(QUIET.format(url))

    configure()
    return configure


def test_a_sound_install_is_told_by_area_and_ends_well(configured):
    done = console.run("doctor", "--offline")
    assert done.status == 0, done.out
    areas = [line for line in done.out.splitlines() if not line.startswith(" ")]
    assert areas[:3] == ["configuration", "vault", "master key"]
    assert "  ok    the vault opens and every record is sound: 3 accounts\n" in done.out
    assert "upstream" not in areas
    assert done.err == "codex-manager: all is well\n"


def test_what_does_not_work_is_an_exit_status_and_each_thing_has_its_cure(configured):
    Paths.locate().config_file.write_text("routing: {strategy: fastest}\n")
    done = console.run("doctor", "--offline", "--json")
    assert (done.status, done.json["ok"]) == (1, False)
    assert {"area", "level", "text", "cure"} == set(done.json["findings"][0])
    assert all(one["cure"] for one in done.json["findings"] if one["level"] != "ok")
    page = console.run("doctor", "--offline")
    assert "  BAD   " in page.out
    assert "        cure: " in page.out
    assert "1 does not work" in page.err


def test_openai_is_asked_for_each_key_unless_it_may_not_be(configured):
    with in_thread(FakeOpenAI()) as fake:
        fake.account("sk-work-0123456789abcdef", organization="org-work")
        configured(fake.base_url)
        assert console.run("doctor", "--offline").status == 0
        assert len(fake.log) == 0
        done = console.run("doctor", "--json")
    told = {one["text"].partition(":")[0]: one["level"] for one in done.json["findings"] if one["area"] == "accounts"}
    assert (done.status, told) == (1, {"Personal": "bad", "Work": "ok", "Client": "bad"})
    assert "0123456789abcdef" not in done.out + done.err


def test_whoever_sits_there_is_asked_for_the_key_nobody_else_has(configured, monkeypatch):
    monkeypatch.delenv("CAM_MASTER_KEY")
    assert "the vault could not be opened to look at it" in console.run("doctor", "--offline").out
    monkeypatch.setattr("codex_manager_cli.session.prompt", lambda: lambda question: console.MASTER_KEY)
    assert "every record is sound: 3 accounts" in console.run("doctor", "--offline").out
