"""What views and commands are told by a running proxy."""

import pytest

from tests.proxy.runtime_rig import ask, new_home, running

from codex_manager.proxy.inspect.recent import Recent
from codex_manager.proxy.inspect.running import NotServingError, Running, UnknownRequestError


async def test_status_explanation_and_a_fresh_look(tmp_path):
    async with new_home(tmp_path, "sk-work", "sk-home") as home:
        home.create("sk-work")
        async with running(home) as runtime:
            recent = Recent(10, records=runtime.records)
            runtime.tell_records(recent.record)
            inside = Running(runtime, None, recent)  # type: ignore[arg-type]
            assert inside.status()["accounts"][0]["label"] == "Work"
            assert (await ask(runtime))[0] == 200
            (record,) = recent.latest(1)
            page = inside.explain(record.id)
            assert page.startswith(f"request  {record.id}\n")
            assert "1. Work, " in page
            with pytest.raises(UnknownRequestError, match="codex-manager explain abc"):
                inside.explain("abc")
            with pytest.raises(UnknownRequestError, match="not over yet"):
                inside.explain("")
            home.configure("metering: {enabled: false}")
            await inside.reload()
            with pytest.raises(UnknownRequestError, match="usage is not counted"):
                inside.explain("abc")
        with pytest.raises(NotServingError):
            inside.status()
