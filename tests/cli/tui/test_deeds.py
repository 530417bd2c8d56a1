"""What a person does on the page, over a real vault and configuration: keys pressed, and what is stored then."""

import contextlib
import threading

import pytest

from tests.cli.tui.stage import page, text_of
from tests.cli.tui.test_screens import settled
from tests.support import MASTER_KEY, account, make_home
from textual import events
from textual.widgets import Input

from codex_manager.config.load import load
from codex_manager.config.paths import Paths
from codex_manager.core.secret import Secret
from codex_manager.testing import FakeOpenAI, in_thread
from codex_manager.vault import kdf, upkeep
from codex_manager_cli.tui.account_form import AccountForm
from codex_manager_cli.tui.dialogs import MasterKey, NewMasterKey, YesNo
from codex_manager_cli.tui.home import Home


pytestmark = pytest.mark.slow

KEYS = {label: f"sk-{label}-0123456789abcdef" for label in ("work", "home", "late")}


@pytest.fixture
def fake():
    with in_thread(FakeOpenAI()) as fake:
        for label, key in KEYS.items():
            fake.account(key, organization=f"org-{label}")
        yield fake


@pytest.fixture
def home(tmp_path, fake):
    config = f"# ours\nproxy:\n  openai_base_url: {fake.base_url}\nrouting:\n  strategy: priority  # for now\n"
    return make_home(tmp_path / "home", [account("work", KEYS["work"]), account("home", KEYS["home"])], config)


@contextlib.asynccontextmanager
async def shown(home, environ=None):
    """The page over the home, on its accounts."""
    app = page(None, home=home.path, environ=home.environ() if environ is None else environ)
    app.source = Home(app.deeds.paths, app.deeds.keyholder)
    try:
        async with app.run_test(size=(100, 30)) as pilot:
            await settled(pilot, lambda: app.snapshot is not None)
            await pilot.press("2")
            await settled(pilot, lambda: app.view.grid.rows)
            yield app, pilot
    finally:
        ended(app)


def ended(app):
    """Nothing is left of it: what is done aside outlives the page, by a moment."""
    for thread in threading.enumerate():
        if thread.name.startswith("tui-"):
            thread.join(10)
    app.source.close()
    app.deeds.keyholder.close()


async def typed(pilot, text):
    """One key after the other, as a person types; the page never sees them faster than it moves its cursor."""
    for c in text:
        await pilot.press({" ": "space", "-": "minus", ".": "full_stop", "*": "asterisk"}.get(c, c))


def stored(home):
    with home.vault() as vault:
        return {each.label: each for each in vault.accounts()}, vault.pinned_account()


async def on_screen(pilot, app, kind):
    await settled(pilot, lambda: isinstance(app.screen, kind))
    assert isinstance(app.screen, kind)
    await settled(pilot)


async def told(pilot, app, words):
    """A notification with these words."""

    def there():
        return any(words in each.message for each in app._notifications)

    await settled(pilot, there)
    assert there(), [each.message for each in app._notifications]


async def test_an_account_is_added_and_its_key_never_shown(home):
    async with shown(home) as (app, pilot):
        await pilot.press("a")
        await on_screen(pilot, app, AccountForm)
        await typed(pilot, "late")
        await pilot.press("tab")
        await typed(pilot, KEYS["late"])
        assert KEYS["late"][4:] not in text_of(app)
        await pilot.press("tab")
        await typed(pilot, "7")
        await pilot.press("enter")
        await told(pilot, app, "added 'late'")
        await settled(pilot, lambda: "late" in text_of(app))
        assert KEYS["late"][4:] not in text_of(app)
    added = stored(home)[0]["late"]
    assert (added.api_key.reveal(), added.priority, added.organization) == (KEYS["late"], 7, "org-late")


async def test_every_mistake_stands_beside_its_field_and_nothing_is_lost(home):
    async with shown(home) as (app, pilot):
        await pilot.press("a")
        await on_screen(pilot, app, AccountForm)
        await typed(pilot, "work")
        for _ in range(4):
            await pilot.press("tab")
        await typed(pilot, "much")
        await pilot.press("enter")
        await settled(pilot, lambda: "daily limit must be" in text_of(app))
        assert "the API key is empty" in text_of(app)
        assert app.focused is not None
        assert app.focused.id == "field-api_key"
        await pilot.press("escape")
        await settled(pilot, lambda: "Esc again" in text_of(app))
        assert "much" in text_of(app)
        await pilot.press("escape")
        await settled(pilot, lambda: not isinstance(app.screen, AccountForm))
    assert set(stored(home)[0]) == {"work", "home"}


async def test_a_key_that_openai_refuses_is_not_stored(home):
    async with shown(home) as (app, pilot):
        await pilot.press("a")
        await on_screen(pilot, app, AccountForm)
        await typed(pilot, "bad")
        await pilot.press("tab")
        await typed(pilot, "sk-nobody-0123456789abcdef")
        await pilot.press("enter")
        await settled(pilot, lambda: "OpenAI refuses this key" in text_of(app))
        assert isinstance(app.screen, AccountForm)
    assert "bad" not in stored(home)[0]


async def test_priority_is_edited_and_nothing_else_is_touched(home):
    before = stored(home)[0]["work"]
    async with shown(home) as (app, pilot):
        await pilot.press("e")
        await on_screen(pilot, app, AccountForm)
        assert "…cdef is kept" in text_of(app)
        await pilot.press("end", "backspace")
        await typed(pilot, "25")
        await pilot.press("enter")
        await told(pilot, app, "changed 'work'")
    after = stored(home)[0]["work"]
    assert after.priority == 25
    assert after.replace(priority=before.priority, updated_at=before.updated_at) == before


async def test_an_edit_that_changes_nothing_writes_nothing(home):
    before = stored(home)[0]["work"]
    async with shown(home) as (app, pilot):
        await pilot.press("e")
        await on_screen(pilot, app, AccountForm)
        await pilot.press("enter")
        await settled(pilot, lambda: not isinstance(app.screen, AccountForm))
    assert stored(home)[0]["work"] == before


async def test_space_turns_it_off_and_on_and_s_sends_everything_there_and_back(home):
    async with shown(home) as (app, pilot):
        await pilot.press("space")
        await told(pilot, app, "'work' is kept from serving")
        assert not stored(home)[0]["work"].enabled
        await settled(pilot, lambda: app.snapshot.accounts[0].state == "disabled")
        await pilot.press("space")
        await told(pilot, app, "'work' serves again")
        await pilot.press("s")
        await told(pilot, app, "everything goes to 'work' now")
        assert stored(home)[1] == stored(home)[0]["work"].id
        await settled(pilot, lambda: "everything to work" in text_of(app))
        await pilot.press("s")
        await told(pilot, app, "the strategy chooses again")
        assert stored(home)[1] is None


async def test_deleting_asks_first_and_enter_means_no(home):
    async with shown(home) as (app, pilot):
        await pilot.press("down", "d")
        await on_screen(pilot, app, YesNo)
        assert "Delete home?" in text_of(app)
        await pilot.press("enter")
        await settled(pilot, lambda: not isinstance(app.screen, YesNo))
        assert "home" in stored(home)[0]
        await pilot.press("d")
        await on_screen(pilot, app, YesNo)
        await pilot.press("y")
        await told(pilot, app, "'home' and its key are out of the vault")
    assert set(stored(home)[0]) == {"work"}


async def test_a_key_is_tested_and_openai_asked(home, fake):
    async with shown(home) as (app, pilot):
        await pilot.press("t")
        await told(pilot, app, "OpenAI accepts the key of 'work'")
        await pilot.press("r")
        await told(pilot, app, "home: ")
    assert "/v1/models" in {seen.path.partition("?")[0] for seen in fake.log}


async def test_the_strategy_is_chosen_and_comments_of_the_file_stay(home):
    async with shown(home) as (app, pilot):
        await pilot.press("3", "s")
        await settled(pilot, lambda: "round_robin" in text_of(app))
        await pilot.press("up", "enter")
        await told(pilot, app, "requests go by round_robin now")
    paths = Paths.locate({"CODEX_MANAGER_HOME": str(home.path)})
    assert load(paths, {}).routing.strategy == "round_robin"
    text = home.config_file.read_text()
    assert "# ours" in text
    assert "# for now" in text


async def test_a_variable_that_overrides_the_strategy_is_said(home):
    environ = {**home.environ(), "CODEX_MANAGER__ROUTING__STRATEGY": "sticky"}
    async with shown(home, environ) as (app, pilot):
        await pilot.press("3", "s")
        await settled(pilot, lambda: "round_robin" in text_of(app))
        await pilot.press("up", "enter")
        await told(pilot, app, "sticky is in force")


async def test_the_master_key_is_asked_for_when_it_is_needed_until_it_fits(home):
    without = {name: value for name, value in home.environ().items() if name != "CAM_MASTER_KEY"}
    async with shown(home, without) as (app, pilot):
        assert "u opens" in text_of(app)
        await pilot.press("a")
        await on_screen(pilot, app, MasterKey)
        await typed(pilot, "wrong")
        await pilot.press("enter")
        await settled(pilot, lambda: "try again" in text_of(app))
        await typed(pilot, MASTER_KEY)
        assert "tests only" not in text_of(app)
        await pilot.press("enter")
        await on_screen(pilot, app, AccountForm)
        await pilot.press("escape")
        await settled(pilot, lambda: app.snapshot.vault == "open")
        await settled(pilot, lambda: len(app.view.grid.rows) == 2)
        assert [row.cells[1] for row in app.view.grid.rows] == ["work", "home"]


async def test_a_vault_that_is_locked_meanwhile_is_noticed_and_can_be_unlocked_here(home):
    async with shown(home) as (app, pilot):
        upkeep.lock(home.vault_file)
        await settled(pilot, lambda: "locked" in text_of(app))
        await pilot.press("u")
        await on_screen(pilot, app, MasterKey)
        await typed(pilot, MASTER_KEY)
        await pilot.press("enter")
        await told(pilot, app, "the vault is open")
    assert not upkeep.is_locked(home.vault_file)


async def test_the_first_account_makes_the_vault_under_a_key_typed_twice(tmp_path, fake, monkeypatch):
    monkeypatch.setattr(kdf, "RFC_9106_LOW_MEMORY", kdf.RFC_9106_LOW_MEMORY)
    folder = tmp_path / "new"
    folder.mkdir(mode=0o700)
    (folder / "config.yaml").write_text(f"proxy:\n  openai_base_url: {fake.base_url}\n")
    app = page(None, home=folder)
    app.source = Home(app.deeds.paths, app.deeds.keyholder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "there are no accounts yet" in text_of(app))
        await pilot.press("2", "a")
        await on_screen(pilot, app, AccountForm)
        await typed(pilot, "work")
        await pilot.press("tab")
        await typed(pilot, KEYS["work"])
        await pilot.press("enter")
        await on_screen(pilot, app, NewMasterKey)
        await typed(pilot, "long enough")
        await pilot.press("enter")
        await typed(pilot, "long enuogh")
        await pilot.press("enter")
        await settled(pilot, lambda: "not the same" in text_of(app))
        await typed(pilot, "long enough")
        await pilot.press("enter")
        await told(pilot, app, "its key is what you typed")
        await settled(pilot, lambda: app.view.grid.rows)
    ended(app)
    from codex_manager.vault.store import Vault

    with Vault.open(folder / "vault.db", Secret("long enough")) as vault:
        assert [each.label for each in vault.accounts()] == ["work"]


async def test_names_that_look_like_markup_style_nothing(home):
    with home.vault() as vault:
        vault.add(account("[bold red]x[/]", "sk-markup-0123456789abcdef"))
        vault.add(account("[@click=app.quit]leave[/]", "sk-markup2-123456789abcdef"))
    async with shown(home) as (app, pilot):
        assert "[bold red]x[/]" in text_of(app)
        await pilot.press("down", "down", "enter")
        await settled(pilot, lambda: "state" in text_of(app))
        assert "[bold red]x[/]" in text_of(app)
        await pilot.press("escape", "d")
        await on_screen(pilot, app, YesNo)
        assert "[bold red]x[/]" in text_of(app)
        await pilot.press("n", "s")
        await told(pilot, app, "[bold red]x[/]")
        await pilot.press("colon")
        await typed(pilot, "switch")
        await settled(pilot, lambda: "(@click=app.quit)" in text_of(app))
        assert "(@click=app.quit)leave(/)" in text_of(app)


async def test_a_secret_typed_quickly_after_tab_goes_to_its_own_field(home):
    async with shown(home) as (app, pilot):
        await pilot.press("a")
        await on_screen(pilot, app, AccountForm)
        for key in ("w", "tab", "s", "e", "c", "r", "e", "t"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await settled(pilot, lambda: "••••••" in text_of(app))
        assert app.screen.query_one("#field-label", Input).value == "w"
        assert app.screen.query_one("#field-api_key", Input).value == "secret"
        await pilot.press("escape", "escape")


async def test_what_is_typed_before_the_form_is_there_is_no_command(home):
    async with shown(home) as (app, pilot):
        for key in "asd":  # s would send everything to one account
            app.post_message(events.Key(key, key))
        await on_screen(pilot, app, AccountForm)
        await pilot.press("escape", "escape")
        await settled(pilot, lambda: not app.is_opening)
    assert stored(home)[1] is None
