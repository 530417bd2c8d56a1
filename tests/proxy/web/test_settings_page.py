"""The settings on the page: shown with where they come from, changed as the command line changes them, all or nothing."""

import re

import pytest

from tests.proxy.web.page_rig import visiting
from tests.support import account

from codex_manager.config.catalogue import PRICE_FIELDS, SETTINGS
from codex_manager.config.load import load
from codex_manager.config.paths import Paths
from codex_manager.proxy.web.settings_form import COMMAND_LINE_ONLY


ROUTING = {"was:routing.max_attempts": "5", "was:routing.retry_ratio": "0.2", "was:routing.pace": "false"}


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path, tmp_path)


async def test_every_setting_is_there_with_its_explanation_and_a_field_unless_it_is_fixed(paths):
    environ = {"CODEX_MANAGER__LIMITS__MAX_HEADERS": "77"}
    async with visiting(paths, environ=environ, config="ui: {theme: dark}\n") as visitor:
        page = await visitor.text("/codex/settings")
    fixed = COMMAND_LINE_ONLY.keys() | {
        "limits.max_headers", "web.address", "web.open_browser", "polling.enabled", "routing.strategy",
    }  # fmt: skip
    for key, setting in SETTINGS.items():
        if key != "routing.strategy":
            assert f">{setting.name}<" in page
            assert f'id="help-{key}"' in page
        assert (f'name="{key}"' in page) == (key not in fixed), key
    assert all(f'name="price:{name}"' in page for name in PRICE_FIELDS)
    assert "CODEX_MANAGER__LIMITS__MAX_HEADERS" in page
    assert page.count("codex-manager config set ") == len(COMMAND_LINE_ONLY)
    assert re.findall(r'name="unset" value="([^"]+)"', page) == ["ui.theme"]
    assert " style=" not in page


async def test_a_save_goes_to_the_file_and_is_in_force_when_it_is_answered(paths):
    config = "routing:\n  max_attempts: 5  # mine\n"
    async with visiting(paths, config=config) as visitor:
        form = ROUTING | {"routing.max_attempts": "7", "routing.retry_ratio": "0.2", "routing.pace": "true"}
        answer = await visitor.text("/codex/settings/section/routing", form)
        assert "Saved and in force." in answer
        assert visitor.runtime.config.routing.max_attempts == 7
        assert visitor.runtime.config.routing.pace
    assert paths.config_file.read_text() == "routing:\n  max_attempts: 7  # mine\n  pace: true\n"


async def test_what_the_form_did_not_change_is_left_to_whoever_changed_it_meanwhile(paths):
    async with visiting(paths) as visitor:
        paths.config_file.write_text("routing: {max_attempts: 9}\n")
        form = ROUTING | {"routing.max_attempts": "5", "routing.retry_ratio": "0.5"}
        await visitor.text("/codex/settings/section/routing", form)
        assert load(paths, {}).routing.max_attempts == 9
        assert "Nothing was changed." in await visitor.text("/codex/settings/section/routing", {})


async def test_all_mistakes_are_beside_their_fields_and_nothing_is_saved(paths):
    async with visiting(paths) as visitor:
        form = ROUTING | {"routing.max_attempts": "<b>99", "routing.retry_ratio": "2", "routing.pace": "true"}
        answer = await visitor.text("/codex/settings/section/routing", form, 422)
        errors = re.findall(r'id="error-([^"]+)">([^<]*)<', answer)
        assert [key for key, _ in errors] == ["routing.max_attempts", "routing.retry_ratio"]
        assert errors[1][1] == "routing.retry_ratio must be a number from 0 to 1, not 2"
        assert 'value="&lt;b&gt;99"' in answer  # as it was typed
        assert "<b>" not in answer
        assert not paths.config_file.exists()
        form = {"was:limits.max_body_mib": "512", "limits.max_body_mib": "1"}  # a quarrel of two settings
        answer = await visitor.text("/codex/settings/section/limits", form, 422)
        assert 'id="error-limits.replay_body_mib"' in answer
        bind = {"was:proxy.bind_addr": "127.0.0.1:8080", "proxy.bind_addr": "0.0.0.0:8080"}
        assert "other machines can reach" in await visitor.text("/codex/settings/section/proxy", bind, 422)


async def test_back_to_the_default_leaves_what_was_typed_elsewhere(paths):
    async with visiting(paths, config="routing: {max_attempts: 9, retry_ratio: 0.4}\n") as visitor:
        form = {
            "was:routing.max_attempts": "9", "routing.max_attempts": "9", "was:routing.retry_ratio": "0.4",
            "routing.retry_ratio": "0.7", "unset": "routing.max_attempts",
        }  # fmt: skip
        answer = await visitor.text("/codex/settings/section/routing", form)
        assert 'name="routing.max_attempts" type="text" value="5"' in answer
        assert 'name="routing.retry_ratio" type="text" value="0.7"' in answer
        assert load(paths, {}).routing.retry_ratio == 0.4
        await visitor.text("/codex/settings/section/routing", {"unset": "proxy.api_key"}, 404)


async def test_the_key_is_written_and_never_shown(paths):
    key = "sk-canary-local-0123456789"
    async with visiting(paths) as visitor:
        form = {"was:proxy.api_key": "", "proxy.api_key": key}
        answer = await visitor.text("/codex/settings/section/proxy", form)
        assert visitor.runtime.knows_key(key.encode())
        assert "…6789" in answer
        wrong = form | {"proxy.api_key": key + " with spaces"}
        refused = await visitor.text("/codex/settings/section/proxy", wrong, 422)
        whole = await visitor.text("/codex/settings")
        untouched = await visitor.text("/codex/settings/section/proxy", form | {"proxy.api_key": ""})
        assert "Nothing was changed." in untouched
    assert all("canary" not in text for text in (answer, refused, whole, untouched))


@pytest.mark.parametrize("key", sorted(COMMAND_LINE_ONLY))
async def test_nothing_that_leads_keys_elsewhere_can_be_changed(paths, key):
    async with visiting(paths, config="upstream: {proxy: 'http://me:canary@10.0.0.1:3128'}\n") as visitor:
        section = key.partition(".")[0]
        form = {f"was:{key}": "", key: "https://elsewhere.example"}
        await visitor.text(f"/codex/settings/section/{section}", form)
        await visitor.text(f"/codex/settings/section/{section}", form | {"unset": key}, 404)
        assert "elsewhere" not in paths.config_file.read_text()
        assert "canary" not in await visitor.text("/codex/settings")


async def test_the_strategy_is_in_force_at_once_unless_the_environment_decides(paths):
    async with visiting(paths, [account("Work", "sk-work-00000000000000")]) as visitor:
        answer = await visitor.text("/codex/settings/strategy", {"strategy": "sticky"})
        assert "Saved and in force." in answer
        assert 'id="use-sticky"' not in answer
        assert visitor.runtime.engine.settings.strategy == "sticky"
        await visitor.text("/codex/settings/strategy", {"strategy": "fastest"}, 422)
    paths.vault_file.unlink()
    async with visiting(paths, environ={"CODEX_MANAGER__ROUTING__STRATEGY": "priority"}) as visitor:
        assert 'id="use-' not in await visitor.text("/codex/settings")
        await visitor.text("/codex/settings/strategy", {"strategy": "sticky"}, 403)


async def test_prices_are_given_changed_and_taken_away(paths):
    async with visiting(paths) as visitor:
        form = {"model": "gpt-5.1", "price:input": "1.5", "price:image": "x"}
        answer = await visitor.text("/codex/settings/prices", form, 422)
        assert 'id="price-image-error"' in answer
        assert "<details open>" in answer
        assert "name the model" in await visitor.text("/codex/settings/prices", {"price:input": "1"}, 422)
        assert "at least one price" in await visitor.text("/codex/settings/prices", {"model": "gpt-5.1"}, 422)
        assert "is a pattern" in await visitor.text("/codex/settings/prices", form | {"model": "gpt-*"}, 422)
        await visitor.text("/codex/settings/prices", {"model": "gpt-5.1", "price:input": "1.5"})
        assert visitor.runtime.config.prices.plain() == {"gpt-5.1": {"input": 1.5}}
        assert 'name="price:input" value="1.5"' in await visitor.text("/codex/settings/prices?model=gpt-5.1")
        await visitor.text("/codex/settings/prices", {"remove": "gpt-5.1"})
        assert visitor.runtime.config.prices.plain() == {}
        assert "no prices of your own" in await visitor.text("/codex/settings/prices", {"remove": "gpt-5.1"}, 422)


async def test_a_file_that_cannot_be_used_is_told_in_the_words_of_the_command_line(paths):
    async with visiting(paths) as visitor:
        paths.config_file.write_text("routing: {strategy: fastest}\n")
        page = await visitor.text("/codex/settings")
        assert "config.yaml line 1: routing.strategy must be one of" in page
        answer = await visitor.text("/codex/settings/section/routing", ROUTING | {"routing.max_attempts": "7"}, 422)
        assert "config.yaml line 1" in answer
