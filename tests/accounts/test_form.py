"""A form's texts become values, or sentences beside its fields."""

import pytest

from codex_manager.accounts.errors import FieldsError
from codex_manager.accounts.form import checked
from codex_manager.core.secret import Secret


@pytest.mark.parametrize(
    ("field", "sent", "stored"),
    [
        ("enabled", "on", True),
        ("enabled", " TRUE ", True),
        ("enabled", "", False),
        ("enabled", "false", False),
        ("enabled", True, True),
        ("priority", " ", 0),
        ("priority", "-3", -3),
        ("weight", "", 1.0),
        ("weight", "2.5", 2.5),
        ("models", "gpt-5*\r\n!gpt-5-pro, o3\n", ("gpt-5*", "!gpt-5-pro", "o3")),
        ("models", "", ()),
        ("tags", "a\nb", ("a", "b")),
        ("tags", ["a", "b"], ("a", "b")),
        ("daily_limit_usd", "", None),
        ("organization", " ", None),
        ("base_url", "", None),
        ("admin_key", "", None),
        ("api_key", " sk-abc \n", Secret("sk-abc")),
        ("notes", "two\nlines", "two\nlines"),
    ],
)
def test_a_text_of_a_form_is_stored_as(field, sent, stored):
    assert checked({field: sent}) == {field: stored}


def test_all_mistakes_come_at_once_in_the_forms_order():
    with pytest.raises(FieldsError) as caught:
        checked(
            {"weight": "x", "enabled": "maybe", "_xsrf": "1", "id": "2", "notes": "fine"}, needed=("label", "weight")
        )
    assert caught.value.fields == {
        "label": "the label is empty",
        "weight": "the weight must be a number, not 'x'",
        "enabled": "enabled must be true or false",
        "_xsrf": "accounts have no field '_xsrf' that can be set",
        "id": "accounts have no field 'id' that can be set",
    }
    assert str(caught.value).startswith("the label is empty; the weight")
    assert caught.value.exit_code == 2


def test_a_field_that_was_not_sent_is_not_there():
    assert checked({}) == {}


def test_no_mistake_quotes_a_key():
    with pytest.raises(FieldsError) as caught:
        checked({"api_key": "sk-secret with-space", "label": "- sk-proj-0123456789", "sk-proj-0123456789abc": "x"})
    assert not any(word in str(caught.value) for word in ("secret", "0123456789"))
