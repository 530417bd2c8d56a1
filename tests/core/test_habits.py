"""What is set aside for an answer nobody limited: what nineteen of twenty answers of the model stay under."""

import random
import tracemalloc

from codex_manager.core.habits import DEFAULT_OUTPUT, MOST_ANSWERS, MOST_MODELS, OutputHabits


def seen(*tokens):
    habits = OutputHabits()
    for each in tokens:
        habits.saw("m", each)
    return habits


def test_a_model_never_seen_gets_the_default():
    habits = seen(10)
    assert habits.expected("another") == habits.expected(None) == DEFAULT_OUTPUT


def test_a_few_answers_only_make_it_more():
    assert seen(10, 20, 30).expected("m") == DEFAULT_OUTPUT
    assert seen(10, 90_000).expected("m") == 90_000


def test_it_is_the_95th_percentile():
    assert seen(*range(1, 101)).expected("m") == 95
    assert seen(*range(100, 0, -1)).expected("m") == 95
    assert seen(*[5] * 19, 1000).expected("m") == 5


def test_habits_change():
    habits = seen(*[10_000] * MOST_ANSWERS)
    for _ in range(MOST_ANSWERS):
        habits.saw("m", 7)
    assert habits.expected("m") == 7


def test_it_is_that_of_the_last_answers_whatever_their_order():
    rng = random.Random(4)
    habits, all_seen = OutputHabits(), []
    for _ in range(1000):
        all_seen.append(rng.choice([0, 1, 1, 50, rng.randrange(10_000)]))
        habits.saw("m", all_seen[-1])
    last = sorted(all_seen[-MOST_ANSWERS:])
    assert habits.expected("m") == last[-(-95 * MOST_ANSWERS // 100) - 1]


def test_names_that_clients_make_up_do_not_fill_the_memory():
    habits = OutputHabits()
    habits.saw(None, 5)
    habits.saw("m", -5)
    tracemalloc.start()
    for number in range(5000):
        habits.saw(f"model-{number}", 10)
        habits.saw("m", 50_000)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used < 2_000 * MOST_MODELS
    assert habits.expected("m") == 50_000, "a model in use is kept"
