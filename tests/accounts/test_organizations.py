"""Two keys of one organization are known for that, by id or by name."""

from tests.accounts.desk_rig import opened, two

from codex_manager.accounts.organizations import remember, same_organization
from codex_manager.config.paths import Paths


def test_settings_and_answers_both_name_organizations(master_key):
    paths, (_, work) = Paths.locate(), two()
    with opened() as vault:
        assert same_organization(paths, vault, {"org-personal"}) == "Personal"
        assert same_organization(paths, vault, {"acme-inc"}) is None
        remember(paths, work, "acme-inc")
        assert same_organization(paths, vault, {"acme-inc"}) == "Work"


def test_a_ledger_that_is_no_file_is_no_trouble(master_key):
    paths, (_, work) = Paths.locate(), two()
    paths.ledger_file.mkdir()
    remember(paths, work, "acme-inc")
    with opened() as vault:
        assert same_organization(paths, vault, {"acme-inc"}) is None
