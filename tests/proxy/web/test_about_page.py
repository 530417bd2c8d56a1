"""The page about this install, and the doctor behind its button."""

import re

import pytest

from tests.proxy.web.page_rig import visiting
from tests.support import account

from codex_manager import __version__
from codex_manager.config.paths import Paths
from codex_manager.proxy.web.about_page import Doctor
from codex_manager.testing import FakeOpenAI
from codex_manager_certs.authority import Authority


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path, tmp_path)


async def test_what_runs_and_where_and_how_to_use_it(paths):
    async with visiting(paths, config="proxy: {api_key: sk-canary-0123456789abcdef}\n") as visitor:
        page = await visitor.text("/codex/about")
        assert "canary" not in page
        paths.config_file.unlink()
        await visitor.runtime.reload()
        assert "OPENAI_API_KEY=sk-codex-manager" in await visitor.text("/codex/about")
    for text in (
        __version__,
        "SQLite",
        "OpenSSL",
        "mitmproxy",
        str(paths.vault_file),
        "htmx",
        "uPlot",
        "There is none yet.",
    ):
        assert text in page
    assert "OPENAI_BASE_URL=http://127.0.0.1:8080/v1" in page


async def test_the_certificate_is_told_and_given_without_its_key(paths):
    authority = Authority.open_or_make(paths.authority_dir, {"api.openai.com"})
    async with visiting(paths) as visitor:
        page = await visitor.text("/codex/about")
        answer = await visitor.ask("/codex/about/certificate")
        assert authority.fingerprint_sha256 in page
        assert answer.body == authority.certificates_pem
        assert b"PRIVATE" not in answer.body
        assert answer.headers["Content-Disposition"].startswith("attachment")
        (paths.authority_dir / "authority.json").chmod(0o644)
        assert "others may use the key" in await visitor.text("/codex/about")
        await visitor.text("/codex/about/certificate", status=422)
        (paths.authority_dir / "authority.json").unlink()
        await visitor.text("/codex/about/certificate", status=404)


async def test_the_doctor_looks_when_asked_and_asks_openai_only_when_told_to(paths):
    async with FakeOpenAI() as fake:
        config = f"proxy: {{openai_base_url: {fake.api_url}}}\n"
        async with visiting(paths, [account("Work", "sk-canary-0123456789abcdef")], config) as visitor:
            here = await visitor.text("/codex/about/doctor", {})
            assert "OpenAI was not asked." in here
            assert "the vault opens and every record is sound: 1 account" in here
            assert fake.journal.records == []
            there = await visitor.text("/codex/about/doctor", {"network": "true"})
            assert "Work: OpenAI refuses its key" in there
            assert re.search(r"<code>codex-manager (proxy|web)</code>", here)
            with Doctor.busy:
                assert "under way already" in await visitor.text("/codex/about/doctor", {}, 422)
            assert "canary" not in here + there
            assert (await visitor.ask("/codex/about/doctor")).code == 405
