"""Which program a command line comes down to, and which way is taken for it."""

import pytest

from codex_manager_cli.guests import choose, recognise


URL = "http://127.0.0.1:1/v1"
PROVIDER = (
    "-c", 'model_provider="codex-manager"', "-c",
    f'model_providers.codex-manager={{name="OpenAI",base_url="{URL}",env_key="OPENAI_API_KEY",wire_api="responses"}}',
)  # fmt: skip


@pytest.mark.parametrize(
    ("command", "name", "place"),
    [
        ("codex exec hi", "codex", 0),
        ("/opt/bin/codex", "codex", 0),
        ("Codex.CMD", "codex", 0),
        ("C:\\tools\\codex.exe", "codex", 0),
        ("npx @openai/codex exec hi", "codex", 1),
        ("npx -y @openai/codex@latest exec hi", "codex", 2),
        ("npx -p @openai/codex codex exec hi", "codex", 3),
        ("npx -- codex", "codex", 2),
        ("npm exec -- @openai/codex", "codex", 3),
        ("npm exec @openai/codex", "codex", 2),
        ("npm run build", "npm", 0),
        ("pnpm dlx opencode-ai run hi", "opencode", 2),
        ("bunx opencode-ai", "opencode", 1),
        ("uvx --from aider-chat aider", "aider", 3),
        ("uv run --with openai python x.py", "python", 4),
        ("uv sync", "uv", 0),
        ("pipx run llm hi", "llm", 2),
        ("env A=1 B=2 codex", "codex", 3),
        ("env", "env", 0),
        ("nohup env codex", "codex", 2),
        ("python3.13 x.py", "python", 0),
        ("python3 -m aider --model x", "aider", 2),
        ("python -m http.server", "python", 0),
        ("python -c 1", "python", 0),
        ("python", "python", 0),
        ("python /usr/bin/llm hi", "llm", 1),
        ("node /usr/lib/node_modules/@openai/codex/bin/codex.js exec", "codex", 1),
        ("node app.mjs", "node", 0),
        ("curl https://api.openai.com/v1/models", "curl", 0),
        ("./run-tests --fast", "run-tests", 0),
        ("bash", "bash", 0),
        ("bash build.sh", "bash", 0),
        ("npx", "npx", 0),
        ("npx -p", "npx", 0),
    ],
)
def test_a_command_line_comes_down_to_a_program(command, name, place):
    found = recognise(command.split())
    assert (found.name, found.place) == (name, place)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("curl -s https://api.openai.com/v1/models", "curl"),
        ("A=1 codex exec hi", "codex"),
        ("make test", "sh"),
        ("it's not closed", "sh"),
        ("", "sh"),
        ("A=1", "sh"),
    ],
)
@pytest.mark.parametrize("option", ["-c", "-ec", "-lc"])
def test_a_script_of_one_command_comes_down_to_that_command(script, name, option):
    assert recognise(["sh", option, script]).name == name
    assert recognise(["sh", option]).name == "sh"


@pytest.mark.parametrize(
    ("command", "way", "because"),
    [
        ("codex", "base-url", "ignores OPENAI_BASE_URL"),
        ("opencode run hi", "base-url", "OpenCode reads OPENAI_BASE_URL"),
        ("node app.js", "base-url", "Node's WebSockets go past any proxy"),
        ("npx tsx app.ts", "base-url", "Node's WebSockets go past any proxy"),
        ("python x.py", "base-url", "OpenAI's SDKs read OPENAI_BASE_URL"),
        ("aider", "base-url", "OPENAI_API_BASE"),
        ("litellm --model x", "base-url", "OPENAI_API_BASE"),
        ("llm hi", "base-url", "OPENAI_BASE_URL"),
        ("curl https://api.openai.com/", "proxy", "its URL is an argument"),
        ("wget https://api.openai.com/", "proxy", "its URL is an argument"),
        ("make", "base-url", "not a program known here"),
        ("bash", "base-url", "what a shell starts is not known"),
    ],
)
def test_auto_takes_the_way_that_works_and_says_why(command, way, because):
    choice = choose(command.split(), "auto")
    assert choice.way == way
    assert because in choice.why
    assert choice.caveat == ""


@pytest.mark.parametrize("command", ["codex exec hi", "npx -y @openai/codex exec hi", "node x/codex.js exec hi"])
def test_codex_is_told_by_its_command_line(command):
    """Behind the word that names it, before its own arguments."""
    words = tuple(command.split())
    told = choose(words, "auto").with_base_url(URL)
    place = recognise(words).place
    assert place is not None
    assert told == (*words[: place + 1], *PROVIDER, *words[place + 1 :])


@pytest.mark.parametrize(
    "arguments",
    ["-c model_provider=azure", '-cmodel_provider="x"', "--config=model_provider=x", "--oss", "-c openai_base_url=x",
     "-c model_providers.x.name=y"],
)  # fmt: skip
def test_a_provider_the_user_chose_stays(arguments):
    words = ("codex", *arguments.split(), "exec", "hi")
    choice = choose(words, "auto")
    assert choice.way == "proxy"
    assert "chooses a provider already" in choice.why
    assert choice.with_base_url(URL) == words


@pytest.mark.parametrize("prompt", ["model_provider", "model_provider is what?", "what is model_provider=x for?"])
def test_a_prompt_that_speaks_of_providers_chooses_none(prompt):
    assert choose(["codex", "exec", prompt], "auto").way == "base-url"


def test_codex_inside_a_script_goes_through_the_proxy():
    choice = choose(["sh", "-c", "codex exec hi"], "auto")
    assert (choice.name, choice.way) == ("codex", "proxy")


@pytest.mark.parametrize(
    ("command", "via", "caveat"),
    [
        ("node x.js", "proxy", "Node before version 24 ignores HTTPS_PROXY"),
        ("codex", "proxy", "sign-in"),
        ("curl x", "base-url", "$OPENAI_BASE_URL in its arguments"),
        ("python x.py", "proxy", ""),
        ("codex --oss", "base-url", "ignores OPENAI_BASE_URL"),
    ],
)
def test_the_way_the_user_asks_for_is_taken_and_its_limits_said(command, via, caveat):
    choice = choose(command.split(), via)
    assert (choice.way, choice.why) == (via, "--via says so")
    assert caveat in choice.caveat
    assert bool(caveat) == bool(choice.caveat)


def test_other_programs_get_their_own_words_only():
    assert choose(["python", "x.py"], "auto").with_base_url(URL) == ("python", "x.py")
    assert choose(["codex"], "proxy").with_base_url(URL) == ("codex",)
