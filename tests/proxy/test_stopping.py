"""Asked once the proxy may finish, asked twice it may not; a file asks only with the token of this run."""

import asyncio
import signal

from codex_manager.config import presence
from codex_manager.core.secret import Secret
from codex_manager.proxy import stopping
from codex_manager.proxy.stopping import Stop


async def test_the_second_time_it_is_meant_at_once():
    stop = Stop()
    stop.ask(signal.SIGINT)
    assert stop.asked.is_set()
    assert (stop.now.is_set(), stop.again) == (False, 0)
    stop.ask(signal.SIGINT)
    assert (stop.now.is_set(), stop.again) == (True, 2)


async def test_where_there_are_no_signals_a_file_asks(tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "LOOK_S", 0.005)
    stop, token = Stop(), Secret("the token")
    about = presence.RunningProxy(pid=1, host="h", port=1, version="1", started="")
    here = presence.announce(tmp_path, about, token)
    assert here is not None
    async with stop.on_file(tmp_path, token), asyncio.timeout(5):
        (tmp_path / presence.STOP_FILE).write_text("another token\n")
        while (tmp_path / presence.STOP_FILE).exists():
            await asyncio.sleep(0.005)
        assert not stop.asked.is_set()
        presence.ask_to_stop(tmp_path)
        await stop.asked.wait()
        assert not (tmp_path / presence.STOP_FILE).exists()
        presence.ask_to_stop(tmp_path)
        await stop.now.wait()
    here.withdraw()
    presence.ask_to_stop(tmp_path)  # nobody is there: nothing is left behind
    assert not (tmp_path / presence.STOP_FILE).exists()
