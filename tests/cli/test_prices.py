"""`prices`: a table, a page or data; what has no price says so."""

from tests.cli.console import run

from codex_manager.config.paths import Paths


def given(text):
    file = Paths.locate().config_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_table_has_every_model_and_says_where_it_is_from():
    shown = run("prices")
    lines = shown.out.splitlines()
    assert shown.status == 0
    assert lines[0].split() == ["MODEL", "INPUT", "CACHED", "OUTPUT", "ALSO", "LISTED"]
    assert len(lines) > 110
    (gpt_5,) = [line.split() for line in lines if line.split()[0] == "gpt-5"]
    assert gpt_5 == ["gpt-5", "1.25", "0.125", "10.00", "2026-10-14"]
    assert any(line.startswith("dall-e-3") and "0.04 to 0.12 an image" in line for line in lines)
    assert any(line.startswith("ft:gpt-4o ") and "3.75" in line for line in lines)
    assert any(line.startswith("moderation") and "free" in line for line in lines)
    assert "genai-prices" in shown.err
    assert "warning" not in shown.err


def test_a_pattern_narrows_it():
    assert [line.split()[0] for line in run("prices", "DALL*").out.splitlines()] == ["MODEL", "dall-e-2", "dall-e-3"]
    nothing = run("prices", "zzz*")
    assert (nothing.status, nothing.out) == (1, "")
    assert "no model with a price is like zzz*" in nothing.err


def test_one_model_in_full():
    page = run("prices", "gpt-5.4").out
    assert "compared on 2026-10-14" in page
    assert "default, input > 272,000" in page
    assert "priority, fast" in page
    assert "thousand calls of web_search" in page
    assert "audio" not in page  # costs what text costs
    assert "minute  0.006" in run("prices", "whisper-1").out


def test_a_model_without_a_price_is_flagged_and_says_how_to_give_it_one():
    shown = run("prices", "gpt-9")
    assert shown.status == 0
    assert "unknown; the dearest of gpt counts" in shown.out
    assert "gpt-9 has no price" in shown.err
    command = shown.err.splitlines()[-1].split("codex-manager config set ")[1]
    assert command == "prices.gpt-9 '{input: 1.25, output: 10}'"
    assert run("config", "set", "prices.gpt-9", "{input: 1.25, output: 10}").status == 0
    priced = run("prices", "gpt-9")
    assert "unknown" not in priced.out
    assert "config.yaml" in priced.out
    assert "warning" not in priced.err
    assert any(line.split()[:1] == ["gpt-9"] and "config.yaml" in line for line in run("prices").out.splitlines())


def test_a_price_of_ones_own_is_marked():
    given("prices:\n  gpt-5: {output: 7}\n")
    data = run("prices", "gpt-5", "--json").json
    assert (data["overridden"], data["source"], data["known"], data["date"]) == (True, "config.yaml", True, None)
    assert data["tiers"]["default"]["per_million_tokens"]["output"] == 7
    assert data["tiers"]["default"]["per_million_tokens"]["input"] == 1.25


def test_data_of_one_model_is_whole():
    data = run("prices", "o3", "--json").json
    tokens = {
        "input": 2.0, "cached_input": 0.5, "cache_write": 2.0, "output": 8.0, "audio_input": 2.0, "cached_audio_input": 0.5,
        "audio_output": 8.0, "image_input": 2.0, "cached_image_input": 0.5, "image_output": 8.0,
    }  # fmt: skip
    assert {name: value for name, value in data.items() if name != "tiers"} == {
        "model": "o3", "known": True, "family": None, "overridden": False, "source": data["source"], "date": "2026-10-14",
    }  # fmt: skip
    assert list(data["tiers"]) == ["default", "flex", "priority", "fast", "batch"]
    assert data["tiers"]["default"] == {
        "per_million_tokens": tokens, "long_context": [], "per_minute": {}, "per_million_characters": 0.0, "per_image": {},
        "per_thousand_calls": {"web_search": 10.0, "web_search_preview": 25.0, "file_search": 2.5, "image_generation": 250.0},
        "per_answer": {"code_interpreter": 0.03, "shell": 0.03},
    }  # fmt: skip
    assert (
        run("prices", "gpt-5.4", "--json").json["tiers"]["default"]["long_context"][0]["above_input_tokens"] == 272_000
    )


def test_data_of_all_models_and_of_an_unknown_one():
    everything = run("prices", "--json").json
    assert len(everything) > 110
    assert all(entry["known"] for entry in everything)
    unknown = run("prices", "gpt-9", "--json").json
    assert (unknown["known"], unknown["family"]) == (False, "gpt")


def test_what_cannot_be_a_name_is_refused_and_not_repeated():
    for text in ("", " ", "a\nb", "sk-proj-0123456789abcdef"):
        refused = run("prices", text)
        assert (refused.status, refused.out) == (2, "")
        assert "this is no name of a model" in refused.err
        assert "sk-" not in refused.err


def test_a_broken_configuration_is_told():
    given("prices:\n  gpt-5: {inptu: 1}\n")
    refused = run("prices")
    assert refused.status == 1
    assert "did you mean input?" in refused.err


def test_settings_of_prices_are_shown_got_and_unset():
    given("prices:\n  gpt-5.4: {output: 7}\n")
    assert "  gpt-5.4: {output: 7.0}" in run("config", "show").out.splitlines()
    assert run("config", "get", "prices.gpt-5.4").out == "{output: 7.0}\n"
    assert run("config", "get", "prices.gpt-5.4", "--json").json["value"] == {"output": 7.0}
    assert run("config", "unset", "prices.gpt-5.4").status == 0
    gone = run("config", "get", "prices.gpt-5.4")
    assert (gone.status, gone.out) == (1, "")
    assert "codex-manager prices gpt-5.4" in gone.err
    assert run("config", "unset", "prices.gpt-5.4").status == 0
