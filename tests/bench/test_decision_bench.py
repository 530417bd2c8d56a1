"""What a decision costs, and that memory stays bounded whatever clients make up."""

import random
import time
import tracemalloc

from statistics import median

import pytest

from codex_manager.core import bindings, owners
from codex_manager.core.account import Account
from codex_manager.core.decision import choose
from codex_manager.core.hints import Headroom
from codex_manager.core.resources import Learned
from codex_manager.core.routing import Candidate, Choice, Facts, Policy
from codex_manager.core.secret import Secret
from codex_manager.core.state import State
from codex_manager.engine.settings import Strategy


STRATEGIES: tuple[Strategy, ...] = ("least_utilized", "round_robin", "priority", "sticky")
AIM_US = {10: 30, 200: 300}
MANY = 1_000_000


def world(count: int) -> tuple[State, list[Candidate]]:
    """Accounts in everyday states: most with known room, some resting, some disabled, all with a scope."""
    state, candidates, rng = State(), [], random.Random(3)
    for number in range(count):
        account = Account(
            id=f"id-{number}", label=f"account {number}", api_key=Secret("sk"), organization=f"org-{number}", project="p",
            enabled=number % 10 != 7,
        )  # fmt: skip
        state.add(account)
        candidates.append(Candidate(account, "https://api.openai.com:443"))
        scope = state.scope(f"org-{number}/p", "gpt-5")
        room = Headroom(
            limit_requests=500, remaining_requests=rng.randrange(100, 500), limit_tokens=10**6, remaining_tokens=rng.randrange(10**5, 10**6)
        )  # fmt: skip
        scope.capacity.learn(room, 1000.0)
        if number % 10 == 3:
            scope.cooling.refuse(20.0, began=1000.0, now=1000.0)
    return state, candidates


@pytest.mark.bench
@pytest.mark.parametrize("count", AIM_US)
def test_what_a_decision_costs(count, capsys):
    state, candidates = world(count)
    found = {}
    for strategy in STRATEGIES:
        policy = Policy(strategy=strategy)
        facts = Facts(model="gpt-5", access="gpt-5", tokens=2000, session="a conversation")
        state.bindings.chosen("a conversation", "id-1", "org-1", 1000.0)
        assert isinstance(choose(facts, candidates, state, policy, 1001.0), Choice)
        costs, each = [], max(4000 // count, 20)
        for _ in range(25):
            began = time.process_time_ns()
            for _ in range(each):
                choose(facts, candidates, state, policy, 1001.0)
            costs.append((time.process_time_ns() - began) / each / 1000)
        found[strategy] = f"{median(costs):.0f} (at best {min(costs):.0f})"
    with capsys.disabled():
        print(f"\ndecision with {count} accounts, aim {AIM_US[count]} µs of CPU:", end="")
        print("".join(f"  {strategy} {cost}" for strategy, cost in found.items()))


@pytest.mark.slow
def test_a_million_conversations_and_a_million_things_take_no_more_than_their_bounds(capsys):
    state, figures = State(), {}
    state.add(Account(id="id-a", label="a", api_key=Secret("sk"), organization="org-a", project="p"))
    for name, put, most in (
        (
            "conversations",
            lambda n: state.bindings.chosen(f"{n:064x}", "id-a", "org-a", 1000.0 + n / 1000),
            bindings.MOST,
        ),
        ("things", lambda n: state.owners.note([Learned(f"file-{n:024d}", "file")], "org-a/p", "id-a", n), owners.MOST),
        ("misses", lambda n: state.owners.missing(f"file-{n:024d}", "org-b/p", n), 20_000),
        ("models made up", lambda n: state.scope("org-a/p", f"model-{n}") if n < 50_000 else None, 4096),
    ):
        tracemalloc.start()
        for number in range(MANY // 4):
            put(number)
        quarter, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for number in range(MANY // 4, MANY):
            put(number)
        figures[name] = (quarter / 2**20, quarter / most)
    assert len(state.bindings) <= bindings.MOST
    assert len(state.owners) <= owners.MOST
    assert len(state.owners._missing) <= 20_000
    assert len(state.owners._changed) <= owners.MOST_CHANGES
    assert len(state.bindings._changed) <= bindings.MOST
    assert len(state.scopes) <= 4096
    with capsys.disabled():
        print(
            "".join(
                f"\n{name}: {mib:.1f} MiB at the bound, {each:.0f} bytes each" for name, (mib, each) in figures.items()
            )
        )
    assert all(mib < 64 for mib, _ in figures.values())
