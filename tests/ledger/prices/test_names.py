import pytest

from codex_manager.ledger.prices.names import LONGEST, base_of_fine_tuned, in_family, normal, stems, undated


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("gpt-4o", "gpt-4o"),
        (" GPT-4o\n", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("models/gpt-4o", "gpt-4o"),
        ("", ""),
        ("x" * 1000, "x" * LONGEST),
    ],
)
def test_a_name_is_compared_without_its_clothes(name, compared):
    assert normal(name) == compared


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-20240806", "gpt-4o"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("gpt-4o-2024-13-06", "gpt-4o-2024-13-06"),
        ("gpt-4o-2024-08-06-preview", "gpt-4o-2024-08-06-preview"),
    ],
)
def test_a_snapshot_is_named_by_its_day(name, model):
    assert undated(name) == model


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("ft:gpt-4.1-mini-2025-04-14:acme::B1x", "gpt-4.1-mini-2025-04-14"),
        ("ft:gpt-4.1", "gpt-4.1"),
        ("ft:", ""),
        ("ft::::", ""),
        ("gpt-4.1", None),
        ("soft:gpt", None),
    ],
)
def test_a_fine_tuned_model_names_its_base(name, base):
    assert base_of_fine_tuned(name) == base


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("gpt-5.7-sol", ["gpt-5.7-sol", "gpt-5.7", "gpt-5", "gpt"]),
        ("o5-mini", ["o5-mini", "o5", "o"]),
        ("whisper", ["whisper"]),
        ("7", ["7"]),
        ("-", ["-"]),
        ("", []),
    ],
)
def test_families_come_nearest_first(name, families):
    assert list(stems(name)) == families


@pytest.mark.parametrize(
    ("name", "family", "is_of_it"),
    [
        ("gpt-5", "gpt-5", True),
        ("gpt-5.6-sol", "gpt-5", True),
        ("gpt-50", "gpt-5", False),
        ("gpt-4o", "gpt-4", False),
        ("o3-mini", "o", True),
        ("omni-moderation", "o", False),
        ("gpt-5", "gpt-5.7", False),
    ],
)
def test_a_family_ends_at_a_joint(name, family, is_of_it):
    assert in_family(name, family) is is_of_it
