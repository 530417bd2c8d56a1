"""Who has what, and what overrules what."""

import tracemalloc

import pytest

from codex_manager.core.owners import MOST, Change, Owner, Owners
from codex_manager.core.resources import Learned, Reference


def ref(name, family="file"):
    return Reference(name, family, "file_id")


@pytest.fixture
def owners():
    return Owners()


def test_what_an_answer_showed_is_where_it_was_shown(owners):
    owners.note([Learned("file-1", "file")], "org-a/p", "a", 100.0)
    assert owners.owner("file-1") == Owner("org-a/p", "a", "file", True, 100.0)
    assert owners.owner("file-2") is None
    assert owners.of([ref("file-1"), ref("file-2")]).unknown == (ref("file-2"),)
    assert owners.of([ref("file-1")]).domain == "org-a/p"


def test_a_weak_word_does_not_overrule_a_strong_one_but_a_strong_one_does(owners):
    owners.note([Learned("file-1", "file", strong=False)], "a", "a", 1.0)
    owners.note([Learned("file-1", "file", strong=True)], "b", "b", 2.0)
    owners.note([Learned("file-1", "file", strong=False)], "a", "a", 3.0)
    assert owners.of([ref("file-1")]).domain == "b"
    owners.note([Learned("file-1", "file", strong=True)], "c", "c", 4.0)
    assert owners.of([ref("file-1")]).domain == "c"


def test_what_was_deleted_is_not_made_known_again_by_who_still_names_it(owners):
    owners.note([Learned("resp_1", "response")], "a", "a", 1.0)
    owners.missing("resp_1", "a", 2.0)
    owners.note([Learned("resp_1", "response", strong=False)], "a", "a", 3.0)
    assert owners.owner("resp_1") is None
    owners.note([Learned("resp_1", "response")], "a", "a", 4.0)
    assert owners.owner("resp_1") is not None


def test_two_owners_are_a_conflict_that_names_both(owners):
    owners.note([Learned("file-1", "file")], "a", "a", 1.0)
    owners.note([Learned("vs_1", "vector_store")], "b", "b", 1.0)
    conflict = owners.of([ref("file-1"), ref("unknown"), ref("vs_1", "vector_store")]).conflict
    assert conflict is not None
    assert (conflict.first.id, conflict.first_owner.domain) == ("file-1", "a")
    assert (conflict.second.id, conflict.second_owner.domain) == ("vs_1", "b")


def test_two_keys_of_one_domain_are_one_owner(owners):
    owners.note([Learned("file-1", "file")], "org/p", "a", 1.0)
    owners.note([Learned("vs_1", "vector_store")], "org/p", "b", 1.0)
    assert owners.of([ref("file-1"), ref("vs_1")]).conflict is None


def test_what_was_not_found_is_not_asked_for_there_again_for_ten_minutes(owners):
    owners.note([Learned("file-1", "file")], "a", "a", 0.0)
    owners.missing("file-1", "a", 100.0)
    assert owners.owner("file-1") is None
    assert owners.is_missing("file-1", "a", 699.0)
    assert not owners.is_missing("file-1", "a", 701.0)
    assert not owners.is_missing("file-1", "b", 100.0)
    owners.missing("file-1", "b", 100.0)
    owners.note([Learned("file-1", "file")], "b", "b", 200.0)  # it has turned up
    assert not owners.is_missing("file-1", "b", 201.0)


def test_a_domain_that_gets_its_name_keeps_its_things(owners):
    owners.note([Learned("file-1", "file")], "account:a", "a", 0.0)
    owners.drain()
    owners.move("account:a", "org-a/p")
    assert owners.of([ref("file-1")]).domain == "org-a/p"
    assert [change.id for change in owners.drain()] == ["file-1"]


def test_changes_are_told_once_and_can_be_loaded_again(owners):
    owners.note([Learned("file-1", "file"), Learned("file-2", "file")], "a", "a", 5.0)
    owners.note([Learned("file-1", "file")], "a", "a", 6.0)  # nothing new within a minute
    owners.forget("file-2")
    changes = owners.drain()
    assert changes == [Change("file-1", Owner("a", "a", "file", True, 5.0)), Change("file-2", None)]
    assert owners.drain() == []
    again = Owners()
    again.load((change.id, change.owner) for change in changes if change.owner is not None)
    assert again.of([ref("file-1")]).domain == "a"
    assert again.drain() == []


@pytest.mark.slow
def test_it_is_bounded_and_the_longest_unused_goes_first(owners):
    tracemalloc.start()
    for start in range(0, MOST + 1000, 100):
        owners.note([Learned(f"file-{start + n}", "file") for n in range(100)], "a", "a", 1.0)
        owners.owner("file-0")
        owners.drain()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(owners) == MOST
    assert owners.owner("file-0") is not None
    assert owners.owner("file-1") is None
    assert size / MOST < 600
    for n in range(50_000):
        owners.missing(f"x{n}", "a", 1.0)
    assert len(owners._missing) <= 20_000
