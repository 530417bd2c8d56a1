"""What a command finds in its environment, and what it must not find there."""

import pytest

from codex_manager.core.secret import Secret
from codex_manager_cli.guest_environment import Leading, changes, without_secrets


URL = "http://127.0.0.1:1"
HOSTS = frozenset({"api.openai.com", "eu.api.openai.com"})
BASE = Leading(way="base-url", url=URL, key=Secret("sk-cm-x"), trust={}, hosts=frozenset())
CODEX = Leading(way="base-url", url=URL, key=Secret("sk-cm-x"), trust={}, hosts=frozenset(), codex=True)
PROXY = Leading(way="proxy", url=URL, key=Secret("sk-cm-x"), trust={"SSL_CERT_FILE": "/b", "NODE_USE_ENV_PROXY": "1"}, hosts=HOSTS)  # fmt: skip
LOOPBACK = "localhost,127.0.0.1,::1"


def test_by_base_url():
    assert changes({}, BASE) == {
        "OPENAI_API_KEY": "sk-cm-x", "OPENAI_BASE_URL": f"{URL}/v1", "OPENAI_API_BASE": f"{URL}/v1",
        "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK,
    }  # fmt: skip
    assert changes({}, CODEX)["CODEX_API_KEY"] == "sk-cm-x"


def test_by_proxy():
    """OPENAI_BASE_URL is OpenAI's own: a script may read it, and one that led elsewhere is gone."""
    assert changes({"OPENAI_BASE_URL": "https://elsewhere.example/v1"}, PROXY) == {
        "OPENAI_API_KEY": "sk-cm-x", "CODEX_API_KEY": "sk-cm-x",
        "OPENAI_BASE_URL": "https://api.openai.com/v1", "OPENAI_API_BASE": "https://api.openai.com/v1",
        "HTTPS_PROXY": URL, "https_proxy": URL, "SSL_CERT_FILE": "/b", "NODE_USE_ENV_PROXY": "1",
        "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK,
    }  # fmt: skip


@pytest.mark.parametrize("leading", [BASE, PROXY])
@pytest.mark.parametrize("name", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT"])
def test_what_names_the_users_own_account_is_taken_away(leading, name):
    assert changes({name: "org-mine"}, leading)[name] is None
    assert name not in changes({}, leading)


@pytest.mark.parametrize(
    ("user", "leading", "left"),
    [
        ("", BASE, LOOPBACK),
        ("corp.example, .lan", BASE, f"corp.example,.lan,{LOOPBACK}"),
        ("corp.example .lan", PROXY, f"corp.example,.lan,{LOOPBACK}"),
        ("localhost", BASE, "localhost,127.0.0.1,::1"),
        ("api.openai.com,corp.example", BASE, f"api.openai.com,corp.example,{LOOPBACK}"),
        ("api.openai.com,corp.example", PROXY, f"corp.example,{LOOPBACK}"),
        (".openai.com", PROXY, LOOPBACK),
        ("openai.com", PROXY, LOOPBACK),
        ("*.OpenAI.com", PROXY, LOOPBACK),
        ("api.openai.com:443", PROXY, LOOPBACK),
        ("https://api.openai.com", PROXY, LOOPBACK),
        ("com", PROXY, LOOPBACK),
        ("*", PROXY, LOOPBACK),
        ("penai.com", PROXY, f"penai.com,{LOOPBACK}"),
        ("us.api.openai.com", PROXY, f"us.api.openai.com,{LOOPBACK}"),
    ],
)
def test_this_machine_is_reached_directly_and_openai_is_not(user, leading, left):
    made = changes({"NO_PROXY": user}, leading)
    assert (made["NO_PROXY"], made["no_proxy"]) == (left, left)


def test_both_spellings_of_the_exceptions_count():
    made = changes({"NO_PROXY": "a.example", "no_proxy": "b.example,a.example"}, BASE)
    assert made["NO_PROXY"] == f"b.example,a.example,{LOOPBACK}"


def test_no_secret_of_the_vault_stays():
    environ = {
        "PATH": "/bin", "CAM_MASTER_KEY": "m", "CODEX_MANAGER__PROXY__API_KEY": "sk-local", "CODEX_MANAGER_HOME": "/h",
        "WORK_KEY": "sk-work", "HEADER": "Authorization: Bearer sk-work", "OTHER": "sk-other", "COPY": "the master key",
    }  # fmt: skip
    kept, held = without_secrets(environ, [Secret("sk-work"), Secret("the master key"), Secret("")])
    assert kept == {"PATH": "/bin", "CODEX_MANAGER_HOME": "/h", "OTHER": "sk-other"}
    assert held == ["WORK_KEY", "HEADER", "COPY"]
