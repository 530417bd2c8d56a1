"""Flows that are over give way, the oldest first; nothing that lives is touched; a look a flow, not a walk over all."""

import contextlib
import copy
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy import ctx, flow, http, tcp, websocket
from mitmproxy.test import taddons, tflow
from wsproto.frame_protocol import Opcode

from codex_manager.proxy.inspect.flow_view import FlowView
from codex_manager.proxy.inspect.limits import RingLimits
from codex_manager.proxy.inspect.ring import FLOW, MESSAGE, PATIENCE, Ring, size_of


class Rig:
    """A view and its ring, told as a master would tell them."""

    def __init__(self, view, flows, size):
        self.limits = RingLimits(flows, size)
        self.view = view
        self.ring = Ring(lambda: self.limits)
        self.ring.follow(view)
        self.killed = []

    def begin(self, made=None, body=b""):
        made = made or tflow.tflow(resp=True)
        made.live = True
        made.request.raw_content = made.response.raw_content = b""
        made.response.raw_content = body
        made.kill = lambda: self.killed.append(made)
        for addon in (self.view, self.ring):
            addon.requestheaders(made)
        return made

    def end(self, made):
        self.ring.response(made)  # at this moment it is live still, as in our streams and mitmproxy's
        made.live = False
        return made

    def run(self, **fields):
        return self.end(self.begin(**fields))

    @property
    def kept(self):
        return list(self.view._store.values())


@contextlib.contextmanager
def rig(flows=3, size=10**9):
    view = FlowView()
    with taddons.context(view):
        yield Rig(view, flows, size)


def test_the_oldest_that_are_over_leave_first():
    with rig(3) as made:
        flows = [made.run() for _ in range(5)]
        assert made.kept == flows[2:]
        assert made.ring.flows == 3
        assert list(made.view) == flows[2:]


def test_bytes_count_as_well_as_flows():
    with rig(100, 3 * FLOW + 250) as made:
        flows = [made.run(body=b"x" * 100) for _ in range(4)]
        assert made.kept == flows[2:]
        assert made.ring.bytes == 2 * (FLOW + 100)


def test_one_that_alone_is_too_large_leaves_once_it_is_over():
    with rig(100, FLOW) as made:
        large = made.run(body=b"x" * 100)
        assert made.kept == [large], "its last bytes are still on their way"
        following = made.run()
        assert made.kept == [following]


def test_what_lives_is_never_removed_or_killed():
    with rig(2) as made:
        living = [made.begin() for _ in range(5)]
        over = [made.run() for _ in range(3)]
        assert [each for each in living if each in made.kept] == living
        assert made.killed == []
        for each in living:
            made.end(each)
        made.run()
        assert len(made.kept) <= 3
        assert over[0] not in made.kept


def test_what_a_user_holds_stays():
    with rig(1) as made:
        held = made.run()
        held.intercepted = True
        for _ in range(3):
            made.run()
        assert held in made.kept
        held.intercepted = False
        made.run()
        made.run()
        assert held not in made.kept


def test_many_held_ones_are_not_all_asked_each_time():
    with rig(1) as made:
        for _ in range(10 * PATIENCE):
            made.run().intercepted = True
        assert len(made.kept) == 10 * PATIENCE
        assert made.killed == []


def test_limits_may_change_at_any_time():
    with rig(50) as made:
        for _ in range(50):
            made.run()
        made.limits = RingLimits(5, 10**9)
        last = made.run()
        assert len(made.kept) == 5
        assert made.kept[-1] is last


def test_a_websocket_is_over_when_it_ends_and_its_messages_count():
    with rig(1) as made:
        socket = made.begin()
        socket.websocket = websocket.WebSocketData()
        made.ring.response(socket)
        made.run()
        assert socket in made.kept
        socket.websocket.messages = [websocket.WebSocketMessage(Opcode.TEXT, True, b"x" * 50)] * 2
        socket.websocket.timestamp_end = 1.0
        made.ring.websocket_end(socket)
        assert size_of(socket) == FLOW + 2 * (MESSAGE + 50)
        socket.live = False
        made.run()
        assert socket not in made.kept


def test_tunnels_count_though_the_filter_hides_them():
    with rig(2) as made:
        tunnels = []
        for _ in range(4):
            tunnel = tflow.ttcpflow()
            tunnel.live = False
            assert isinstance(tunnel, tcp.TCPFlow)
            made.view.tcp_start(tunnel)
            made.ring.tcp_start(tunnel)
            made.ring.tcp_end(tunnel)
            tunnels.append(tunnel)
        assert len(made.view) == 0
        assert made.kept == tunnels[2:]


def from_file():
    made = tflow.tflow(resp=True)
    made.live = False
    return made


def test_flows_from_a_file_count():
    with rig(10) as made:
        made.view.add([from_file() for _ in range(25)])
        assert len(made.kept) == 10
        made.view.duplicate([made.kept[0]])
        assert len(made.kept) == 10


def test_a_flow_whose_end_no_hook_told_goes_too():
    with rig(2) as made:
        lost = [made.begin() for _ in range(3)]
        for each in lost:
            each.live = False
        for _ in range(4):
            made.run()
        assert not set(map(id, lost)) & set(map(id, made.kept))
        assert len(made.kept) <= 3


def test_clearing_the_list_clears_the_books():
    with rig(5) as made:
        for _ in range(4):
            made.run(body=b"x")
        made.begin()
        made.view.clear()
        assert (made.ring.flows, made.ring.bytes) == (0, 0)


def test_one_that_ends_again_is_measured_again():
    """A replay in place."""
    with rig(5) as made:
        replayed = made.run(body=b"x")
        replayed.response.raw_content = b"x" * 1000
        made.ring.response(replayed)
        assert made.ring.bytes == FLOW + 1000
        assert made.ring.flows == 1


def test_what_the_view_does_not_have_is_nobodys_business():
    with rig(1) as made:
        own = tflow.tflow(resp=True)
        own.request.path = "/health"
        own.request.port = 80
        made.run(made=own)
        assert made.kept == []
        assert made.ring.flows == 0


def test_the_view_of_the_master_is_found():
    view, ring = FlowView(), Ring(lambda: RingLimits(1, 10**9))
    with taddons.context(view, ring) as tctx:
        assert tctx.master is ctx.master
        for _ in range(3):
            one = tflow.tflow(resp=True)
            view.requestheaders(one)
            ring.requestheaders(one)
            ring.response(one)
            one.live = False
        assert len(view._store) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["begin", "end", "hold", "let go", "remove", "clear", "file"]), st.integers(0, 9)),
        max_size=60,
    )
)
def test_the_books_always_balance(steps):
    with rig(4, 6 * FLOW) as made:
        there: list[flow.Flow] = []
        for what, number in steps:
            one = there[number % len(there)] if there else None
            if what == "begin":
                there.append(made.begin(body=b"x" * number))
            elif what == "file":
                made.view.add([from_file()])
            elif one is None or one.id not in made.view._store:
                continue
            elif what == "end":
                made.end(one)
            elif what == "hold":
                one.intercepted = True
            elif what == "let go":
                one.intercepted = False
            elif what == "remove" and not one.live:
                made.view.remove([one])
            elif what == "clear":
                made.view.clear()
            assert made.ring.flows == len(made.kept)
            over = made.ring._over
            assert made.ring.bytes == sum(size for _, size in over.values())
            free = [f for f, _ in over.values() if not f.live and not f.intercepted]
            assert (
                made.ring.flows <= 4 or len(free) <= 1 or all(f.live or f.intercepted for f in made.ring._open.values())
            )
        assert made.killed == []


def test_the_constant_is_about_what_a_flow_takes():
    """Measured with tracemalloc: a flow with headers of a usual size, in a list."""
    made_of = [tflow.tflow(resp=True).get_state() for _ in range(2)]
    with rig(100_000) as made:
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for number in range(100):
                made.run(made=http.HTTPFlow.from_state(copy.deepcopy(made_of[number % 2]) | {"id": str(number)}))
            each = (tracemalloc.get_traced_memory()[0] - before) / 100
        finally:
            tracemalloc.stop()
    assert FLOW / 4 < each < FLOW, "headers of a real request and its facts come on top"
