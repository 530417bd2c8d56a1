"""LangChain, LiteLLM and llm, unmodified, from an environment of their own."""

import pytest

from tests.e2e.clients.stage import SCRIPTS, TEXT


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
