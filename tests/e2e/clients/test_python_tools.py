"""LangChain, LiteLLM and llm, unmodified, from an environment of their own."""

import pytest

from tests.e2e.clients.stage import SCRIPTS, TEXT
from tests.support import LOCAL_KEY


pytestmark = [pytest.mark.slow, pytest.mark.clients]


def test_langchain(stage, way, tools):
    ended = stage.run(way, str(tools / "python"), str(SCRIPTS / "langchain.py"))
    stage.was_served(ended, expected=f"{TEXT}\n{TEXT}\n")


def test_litellm(stage, way, tools):
    """Its list of prices is not fetched: that goes to a host of GitHub's, which this network does not have."""
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    ended = stage.run(way, str(tools / "python"), str(SCRIPTS / "litellm_script.py"), environ=environ)
    stage.was_served(ended, expected=f"{TEXT}\n{TEXT}\n")


@pytest.mark.parametrize("stream", [True, False])
def test_llm(stage, way, tools, stream):
    options = () if stream else ("--no-stream",)
    stage.was_served(stage.run(way, str(tools / "llm"), "-m", "gpt-4o-mini", *options, "hello"))


def test_llm_by_its_settings(stage, tools):
    """As docs/clients.md prints it."""
    (stage.folder / "extra-openai-models.yaml").write_text(
        f"""- model_id: vault-4o-mini
  model_name: gpt-4o-mini
  api_base: "{stage.proxy.base_url}"
  api_key_name: codex-manager
""",
        encoding="utf-8",
    )
    environ = {"LLM_USER_PATH": str(stage.folder)}
    kept = stage.start(str(tools / "llm"), "keys", "set", "codex-manager", "--value", LOCAL_KEY, environ=environ)
    assert kept.status == 0, kept
    stage.was_served(stage.start(str(tools / "llm"), "-m", "vault-4o-mini", "hello", environ=environ))
