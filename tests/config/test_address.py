import pytest

from codex_manager.config.address import is_loopback, is_wildcard, normal_base_url, parse_address, url_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::1]:8080", "::1", 8080),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("my_container-1.local:80", "my_container-1.local", 80),
    ],
)
def test_an_address_is_read_and_written_back(text, host, port):
    assert parse_address(text) == (host, port)
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:８0", "::1:8080",
     "[::1]", "[x]:1", "http://127.0.0.1:80", "a b:80", "1.2.3:80", "999.1.1.1:80", "-a:80", "127.0.0.1:8080/", "0x7f.1:80"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r"^(must|has|needs|is) "):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("LOCALHOST.", True),
        ("x.localhost", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False),
        ("localhost.example.com", False), ("notlocalhost", False),
    ],
)  # fmt: skip
def test_loopback_is_this_machine_and_nothing_else(host, answer):
    assert is_loopback(host) is answer


def test_wildcards_mean_every_address():
    assert is_wildcard("0.0.0.0")
    assert is_wildcard("::")
    assert not is_wildcard("localhost")


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("https://api.openai.com", "https://api.openai.com"),
        ("https://API.OpenAI.com/", "https://api.openai.com"),
        ("https://api.openai.com/v1", "https://api.openai.com"),
        ("https://api.openai.com/v1/", "https://api.openai.com"),
        ("https://gateway.example/openai/v1/", "https://gateway.example/openai"),
        ("https://gateway.example/v1beta", "https://gateway.example/v1beta"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://[::1]:9/", "http://[::1]:9"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_a_base_url_is_normalised(typed, normal):
    assert normal_base_url(typed) == normal


@pytest.mark.parametrize(
    "url",
    ["", "api.openai.com", "ftp://x", "https://", "https:///v1", "http://api.openai.com", "http://10.0.0.1", "https://u:p@x.example",
     "https://x.example?", "https://x.example/#", "https://x.example:0", "https://x.example:99999", "https://x.example:a", "https://x y",
     "https://[::1", "https://exämple.com", "https://x.example\n", "http://localhost.evil.example", "http://0x7f.1", "http://2130706433"],
)  # fmt: skip
def test_a_base_url_that_could_leak_keys_is_refused(url):
    with pytest.raises(ValueError, match=r"^must "):
        normal_base_url(url)


@pytest.mark.parametrize(("url", "address"), [("https://x.example", ("x.example", 443)), ("http://[::1]", ("::1", 80))])
def test_the_port_of_a_url_is_known_without_being_written(url, address):
    assert url_address(url) == address
