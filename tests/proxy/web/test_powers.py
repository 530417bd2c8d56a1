import pytest

from mitmproxy import exceptions
from mitmproxy.addons import modifybody, modifyheaders
from mitmproxy.test import taddons

from codex_manager.proxy.web.powers import COMMANDS, OPTIONS, PageOptions, leave_allowed


@pytest.fixture
def sealed():
    """Options with two addons' own, sealed."""
    with taddons.context(options=PageOptions()) as context:
        context.options.add_option("stream_large_bodies", str | None, None, "")
        context.master.addons.add(modifybody.ModifyBody(), modifyheaders.ModifyHeaders())
        context.options.seal()
        yield context.options


@pytest.mark.parametrize(
    "change",
    [
        {"ssl_insecure": True}, {"confdir": "/tmp"}, {"mode": ["upstream:http://x:1"]}, {"server": False},
        {"listen_port": 1}, {"certs": ["/etc/passwd"]}, {"client_certs": "/"},
    ],
)  # fmt: skip
def test_what_is_not_for_the_page_stays_as_it_is(sealed, change):
    before = {name: getattr(sealed, name) for name in change}
    with pytest.raises(exceptions.OptionsError, match="does not let the page"):
        sealed.update(**change)
    with pytest.raises(exceptions.OptionsError, match="does not let the page"):
        sealed.update(showhost=True, **change)
    assert {name: getattr(sealed, name) for name in change} == before
    assert not sealed.showhost, "all or nothing"


@pytest.mark.parametrize("name", ["modify_body", "modify_headers"])
@pytest.mark.parametrize("value", ["/x/@passwd", "|x|@/etc/passwd", "|~q|x|@/etc/passwd", ":x:@~/.ssh/id_rsa"])
def test_no_replacement_is_read_from_a_file(sealed, name, value):
    with pytest.raises(exceptions.OptionsError, match="read files"):
        sealed.update(**{name: [value]})
    with pytest.raises(exceptions.OptionsError, match="read files"):
        sealed.set(f"{name}={value}")


def test_replacements_in_place_work(sealed):
    sealed.update(modify_body=["/~q/a/b@c"], modify_headers=["/X-A/"])
    assert list(sealed.modify_body) == ["/~q/a/b@c"]


def test_attributes_are_no_way_round(sealed):
    with pytest.raises(exceptions.OptionsError):
        sealed.ssl_insecure = True


def test_commands_that_write_read_or_run_are_taken_out():
    commands = dict.fromkeys(
        ["cut.save", "cut.clip", "export.file", "export.clip", "options.save", "options.load", "save.file", "script.run", "view.flows.load",
         "codex.status", "flow.mark", "set"]
    )  # fmt: skip
    leave_allowed(commands)
    assert set(commands) == {"codex.status", "flow.mark", "set"}


def test_nothing_allowed_sounds_like_a_file():
    assert not [
        name
        for name in COMMANDS | OPTIONS
        if any(word in name for word in ("file", "save", "load", "clip", "script", "local"))
    ]
