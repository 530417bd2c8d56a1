"""Labels stay few whatever clients send."""

import pytest

from codex_manager.proxy.labels import LONGEST, OTHER, Names, model_family


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-audio-preview-2024-10-01", "gpt-4o-audio-preview"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("gpt-4-1106-preview", "gpt-4-preview"),
        ("o1-pro-2025-03-19", "o1-pro"),
        ("text-embedding-3-large", "text-embedding-3-large"),
        ("whisper-1", "whisper-1"),
        ("ft:gpt-4o-mini-2024-07-18:acme::A1b2", "ft:gpt-4o-mini"),
        ("ft:", "ft:"),
        ("", ""),
    ],
)
def test_snapshots_and_tunings_of_a_model_are_one(model, family):
    assert model_family(model) == family


def test_a_name_gets_a_label_once_it_is_real():
    names = Names(2, ("known",))
    assert names.label("made up", learn=False) == OTHER
    assert names.label("real", learn=True) == "real"
    assert names.label("real", learn=False) == "real"
    assert names.label("x" * (LONGEST + 1), learn=True) == OTHER
    assert names.label("second", learn=True) == "second"
    assert names.label("third", learn=True) == OTHER
    assert names.label("known", learn=False) == "known"
