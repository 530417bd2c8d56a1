import asyncio
import json

from codex_manager.proxy.web.updates import MOST_WAITING, Updates


async def test_a_page_that_takes_nothing_is_told_to_read_anew_and_holds_no_memory():
    page = object.__new__(Updates)
    page.filters = {}
    page._send_queue = asyncio.Queue()
    most = 0
    for number in range(10 * MOST_WAITING):
        page.send(b"%d" % number)
        most = max(most, page._send_queue.qsize())
    waiting = [page._send_queue.get_nowait() for _ in range(page._send_queue.qsize())]

    assert most <= MOST_WAITING + 3
    assert [json.loads(message)["type"] for message in waiting[:2]] == ["flows/reset", "events/reset"]
    assert waiting[-1] == b"%d" % (10 * MOST_WAITING - 1), "the newest is there"
