"""What the proxy was started with is what it can be started with again."""

import pytest

from codex_manager.config.address import Address
from codex_manager.proxy.arguments import again, options, parsed


BOUND = ("127.0.0.1", 8123)


@pytest.mark.parametrize(
    ("arguments", "wanted", "once_more"),
    [
        ([], 8123, []),
        ([], 0, ["--bind", "127.0.0.1:8123"]),
        (["--bind", "127.0.0.1:0"], 0, ["--bind", "127.0.0.1:8123"]),
        (["-b", "[::1]:8123", "--web", "--no-browser"], 8123, ["--web", "--no-browser", "--bind", "[::1]:8123"]),
        (
            ["--web", "--web-bind", "127.0.0.1:1", "-v"],
            8123,
            ["--web", "--web-bind", "127.0.0.1:1", "--log-level", "debug"],
        ),
        (["--log-format", "json", "--detached", "--log-file", "/a", "--report", "/b"], 8123, ["--log-format", "json"]),
    ],
)
def test_a_proxy_can_be_started_again_as_it_was(arguments, wanted, once_more):
    args = parsed(arguments)
    found = again(args, Address("127.0.0.1", wanted), BOUND)
    assert list(found) == once_more
    assert again(parsed(found), Address("127.0.0.1", 8123), BOUND) == found


def test_options_are_settings():
    assert options(parsed([])) == {}
    assert options(parsed(["--log-level", "error", "--log-file", "/a", "--no-browser"])) == {
        "web.open_browser": ("--no-browser", False),
        "logging.level": ("--log-level", "error"),
        "logging.file": ("--log-file", "/a"),
    }
