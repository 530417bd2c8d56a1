import datetime as dt
import subprocess
import sys

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from codex_manager.config import load
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path, tmp_path)


def refused(paths, text, environ=None, **kwargs) -> ConfigError:
    paths.config_file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load.load(paths, environ or {}, **kwargs)
    assert "\n" not in str(caught.value)
    assert caught.value.hint is None or "\n" not in caught.value.hint
    assert caught.value.exit_code == 1
    assert caught.value.__cause__ is None
    return caught.value


def test_without_a_file_the_defaults_apply(paths):
    assert load.load(paths, {}).proxy.bind_addr == "127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("routing:\n  strategy: fastest\n", 'line 2: routing.strategy must be one of least_utilized, round_robin, priority, sticky, not "fastest"'),
        ("routing:\n  max_attempts: 0\n", "line 2: routing.max_attempts must be a whole number from 1 to 50, not 0"),
        ("routing:\n  max_attempts: 2.5\n", "line 2: routing.max_attempts must be a whole number from 1 to 50, not 2.5"),
        ("routing:\n  max_attempts: true\n", "line 2: routing.max_attempts must be a whole number from 1 to 50, not true"),
        ('routing:\n  max_attempts: "3"\n', 'line 2: routing.max_attempts must be a whole number from 1 to 50, not "3"'),
        ("routing:\n  retry_ratio: .nan\n", "line 2: routing.retry_ratio must be a number from 0 to 1, not nan"),
        ("routing:\n  retry_ratio: .inf\n", "line 2: routing.retry_ratio must be a number from 0 to 1"),
        ("routing:\n  pace: 3\n", "line 2: routing.pace must be true or false, not 3"),
        ("routing:\n  strategy:\n", "line 2: routing.strategy has no value; give it one or remove the line"),
        ("routing:\n  strategy: [a]\n", "line 2: routing.strategy must be one of"),
        ("proxy:\n  bind_addr: 8080\n", "line 2: proxy.bind_addr must be text; put it in quotes, not 8080"),
        ("proxy:\n  bind_addr: localhost\n", "line 2: proxy.bind_addr must be an address with a port, such as 127.0.0.1:8080"),
        ("proxy:\n  api_key: 12345\n", "line 2: proxy.api_key must be text; put it in quotes"),
        ("proxy:\n  api_key: ''\n", "line 2: proxy.api_key must be 1 to 512 characters long"),
        ("proxy:\n  api_key: 'a b'\n", "line 2: proxy.api_key must be plain ASCII without spaces, because it travels in a header"),
        ("proxy:\n  allowed_hosts: box\n", 'line 2: proxy.allowed_hosts must be a list, such as [one, two], not "box"'),
        ("proxy:\n  allowed_hosts:\n  - 1\n", "line 2: proxy.allowed_hosts must list text; put each entry in quotes"),
        ("proxy:\n  allowed_hosts: ['http://x']\n", "line 2: proxy.allowed_hosts must list host names or IP addresses, without scheme and port"),
        ("proxy:\n  openai_base_url: http://api.openai.com\n", "line 2: proxy.openai_base_url must start with https:// because keys are sent there"),
        ("upstream:\n  proxy: proxy.example:3128\n", "line 2: upstream.proxy must be a URL that starts with https:// or http://"),
        ("upstream:\n  ca_file: ca.pem\n", "line 2: upstream.ca_file must be an absolute path, or start with ~/"),
        ("upstream:\n  ca_file: ~nobody-of-this-name/ca.pem\n", "line 2: upstream.ca_file names the home of an unknown user"),
        ("proxy: 5\n", "line 1: proxy is a section and needs its settings indented below it"),
        ("proxy:\n  bind_adr: x\n", "line 2: there is no setting proxy.bind_adr; did you mean proxy.bind_addr?"),
        ("proxy:\n  strategy: x\n", "line 2: there is no setting proxy.strategy; did you mean routing.strategy?"),
        ("proxy:\n  zzzzzz: x\n", "line 2: there is no setting proxy.zzzzzz"),
        ("ruting: {}\n", "line 1: there is no section ruting; did you mean routing?"),
        ("bind_addr: x\n", "line 1: there is no section bind_addr; did you mean proxy.bind_addr?"),
        ("zzzzzz: {}\n", "line 1: there is no section zzzzzz; sections are proxy, forward, routing, metering, prices, polling, metrics, upstream, limits, logging, web, inspection, ui"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_with_file_line_and_key(paths, text, sentence):
    assert str(refused(paths, text)).startswith(f"config.yaml {sentence}")


def test_all_mistakes_are_known_and_the_first_of_the_file_leads(paths):
    error = refused(paths, "ui:\n  theme: pink\nproxy:\n  bind_addr: x\nrouting:\n  pace: 3\n")
    assert [problem.partition(":")[0] for problem in error.problems] == [
        "config.yaml line 2",
        "config.yaml line 4",
        "config.yaml line 6",
    ]
    assert str(error) == error.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "proxy:\n  api_key: 'sk-topsecret with space'\n",
        "proxy:\n  api_key: [sk-topsecret]\n",
        "proxy:\n  openai_base_url: https://sk-topsecret@x.example\n",
        "proxy:\n  openai_base_url: https://user:topsecret@x.example\n",
        "upstream:\n  proxy: socks5://user:topsecret@x.example\n",
        "routing:\n  strategy: sk-topsecret\n",
        "sk-topsecret: {}\n",
        "proxy:\n  sk-topsecret: x\n",
        "proxy: sk-topsecret\n",
        "upstream:\n  ca_file: sk-topsecret\n",
        "proxy:\n  bind_addr: sk-topsecret\n",
        "proxy:\n  allowed_hosts: ['sk-topsecret/']\n",
    ],
)
def test_no_secret_is_repeated_in_an_error(paths, text):
    error = refused(paths, text)
    assert "topsecret" not in str(error) + str(error.hint) + repr(error)


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "'[::]:8080'", "192.168.1.5:8080", "box.example:8080"])
@pytest.mark.parametrize("key", ["sk-codex-manager", "sk-codex-account-manager"])
def test_the_default_key_is_for_this_machine_only(paths, address, key):
    text = f"proxy:\n  bind_addr: {address}\n"
    error = refused(paths, f"{text}  api_key: {key}\n")
    assert str(error).startswith("config.yaml line 2: proxy.bind_addr is ")
    assert "other machines can reach" in str(error)
    assert "config set proxy.api_key" in str(error.hint)
    paths.config_file.write_text(f"{text}  api_key: my-own-key\n")
    assert not load.load(paths, {}).has_default_key


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"), ("127.0.0.1:8080", "http://localhost:8080/v1"), ("'[::1]:8080'", "http://127.1.2.3:8080"),
        ("localhost:443", "https://localhost"), ("127.0.0.1:8080", "https://0.0.0.0:8080"),
    ],
)  # fmt: skip
def test_an_upstream_that_is_this_proxy_is_refused(paths, bind, url):
    error = refused(paths, f"proxy:\n  bind_addr: {bind}\n  openai_base_url: {url}\n")
    assert str(error).startswith("config.yaml line 3: proxy.openai_base_url is this proxy's own address")


def test_an_upstream_proxy_that_is_this_proxy_is_refused(paths):
    error = refused(paths, "upstream:\n  proxy: http://user:topsecret@localhost:8080\n")
    assert str(error).startswith("config.yaml line 2: upstream.proxy is this proxy's own address")
    assert "topsecret" not in str(error)


def test_another_port_of_this_machine_is_no_loop(paths):
    paths.config_file.write_text("proxy:\n  bind_addr: 127.0.0.1:0\n  openai_base_url: http://127.0.0.1:9\n")
    assert load.load(paths, {}).proxy.openai_base_url == "http://127.0.0.1:9"


def test_what_is_kept_cannot_be_larger_than_what_is_let_in(paths):
    error = refused(paths, "limits:\n  max_body_mib: 8\n")
    assert str(error) == "config.yaml: limits.replay_body_mib is 32, more than limits.max_body_mib allows (8)"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read"), (b"hello", "no PEM certificates"), (b"", "no PEM certificates")]
)
def test_the_ca_file_must_hold_certificates(paths, tmp_path, content, why):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    error = refused(paths, f"upstream:\n  ca_file: {tmp_path / 'ca.pem'}\n")
    assert str(error).startswith("config.yaml line 2: upstream.ca_file names")
    assert why in str(error)


def test_a_ca_file_with_a_certificate_is_taken(paths, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=9999)).sign(
        key, hashes.SHA256()
    )
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths.config_file.write_text(f"upstream: {{ca_file: {tmp_path / 'ca.pem'}}}\n")
    assert load.load(paths, {}).upstream.ca_file == str(tmp_path / "ca.pem")


def test_the_environment_goes_before_the_file_and_the_command_line_before_both(paths):
    paths.config_file.write_text(
        "proxy: {bind_addr: '127.0.0.1:1', foreign_keys: pass}\nrouting: {strategy: sticky, pace: true}\n"
    )
    environ = {"CODEX_MANAGER__PROXY__BIND_ADDR": "[::1]:2", "CODEX_MANAGER__ROUTING__STRATEGY": "priority"}
    loaded = load.read(paths, environ, options={"proxy.bind_addr": ("--bind", "localhost:3")})
    assert loaded.config.proxy.bind_addr == "localhost:3"
    assert loaded.config.routing.strategy == "priority"
    assert {key: origin for key, origin in loaded.origins.items() if origin != "default"} == {
        "proxy.bind_addr": "command line", "proxy.foreign_keys": "file", "routing.strategy": "environment", "routing.pace": "file",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "value", "key", "expected"),
    [
        ("ROUTING__PACE", "true", "pace", True),
        ("ROUTING__PACE", "no", "pace", False),
        ("ROUTING__MAX_ATTEMPTS", "7", "max_attempts", 7),
        ("ROUTING__RETRY_RATIO", "0.5", "retry_ratio", 0.5),
        ("ROUTING__RETRY_RATIO", "1", "retry_ratio", 1.0),
        ("ROUTING__STRATEGY", " sticky ", "strategy", "sticky"),
        ("ROUTING__STRATEGY", "", "strategy", "least_utilized"),
        ("PROXY__API_KEY", "12345", "api_key", "12345"),
        ("PROXY__API_KEY", "*star", "api_key", "*star"),
        ("PROXY__API_KEY", "off", "api_key", "off"),
        ("PROXY__API_KEY", "'quoted'", "api_key", "quoted"),
        ("PROXY__BIND_ADDR", "[::1]:0", "bind_addr", "[::1]:0"),
        ("PROXY__ALLOWED_HOSTS", "[a, b]", "allowed_hosts", ("a", "b")),
        ("PROXY__ALLOWED_HOSTS", "a, b", "allowed_hosts", ("a", "b")),
        ("UPSTREAM__PROXY", "null", "proxy", None),
    ],
)
def test_a_variable_is_read_as_its_setting_wants(paths, variable, value, key, expected):
    config = load.load(paths, {f"CODEX_MANAGER__{variable}": value})
    found = getattr(getattr(config, variable.partition("__")[0].lower()), key)
    assert (found.reveal() if key == "api_key" else found) == expected


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("CODEX_MANAGER__PROXY__BIND_ADR", "x", "environment variable CODEX_MANAGER__PROXY__BIND_ADR names no setting"),
        ("CODEX_MANAGER__NOTHING", "x", "environment variable CODEX_MANAGER__NOTHING names no setting"),
        ("CODEX_MANAGER__ROUTING__STRATEGY", "x", "environment variable CODEX_MANAGER__ROUTING__STRATEGY: routing.strategy must be one of"),
        ("CODEX_MANAGER__ROUTING__PACE", "]", "environment variable CODEX_MANAGER__ROUTING__PACE must be true or false"),
        ("CODEX_MANAGER__PROXY__BIND_ADDR", "0.0.0.0:1", "environment variable CODEX_MANAGER__PROXY__BIND_ADDR: proxy.bind_addr is 0.0.0.0:1"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(paths, variable, value, sentence):
    error = refused(paths, "", {variable: value})
    assert str(error).startswith(sentence)
    assert error.hint


def test_a_wrong_option_is_named(paths):
    error = refused(paths, "", options={"proxy.bind_addr": ("--bind", "nonsense")})
    assert str(error) == "--bind: proxy.bind_addr must be an address with a port, such as 127.0.0.1:8080"


def test_other_variables_are_not_ours(paths):
    assert load.load(
        paths, {"CODEX_MANAGER_HOME": "x", "CODEX_MANAGER_DEBUG": "1", "codex_manager__x": "y"}
    ) == load.load(paths, {})


def test_paths_are_known_without_pydantic():
    """Every command asks for the paths; few need the schema."""
    code = "import sys, codex_manager.config.paths; sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
