"""The page of all settings: what each means, what it is and where that comes from; changes go into the same file as the command line's.

Law: a save is all or nothing, judged by `config.edit` as everywhere else, and in force when the answer comes; nothing that could lead
stored keys elsewhere can be changed here (`settings_form`).
"""

import asyncio

from collections.abc import Mapping
from typing import Any, Final

from tornado import web

from codex_manager.config import edit
from codex_manager.config.catalogue import PRICE_FIELDS, PRICES, SECTIONS, SETTINGS
from codex_manager.config.environment import value_from_text
from codex_manager.config.errors import ConfigError
from codex_manager.config.load import Loaded
from codex_manager.proxy.web.page import Page
from codex_manager.proxy.web.settings_form import (
    STRATEGIES,
    STRATEGY,
    Field,
    fields_of,
    sections,
    strategy_field,
    wishes,
)


__all__ = ["Prices", "Section", "Settings", "Strategy"]

USUAL: Final = ("input", "cached_input", "output")
"""What most models are billed by; the other prices are behind a fold."""


class _SettingsPage(Page):
    """What the handlers below share."""

    section = "settings"

    async def loaded(self) -> Loaded:
        """The settings as they are written now."""
        return await asyncio.to_thread(self.web.runtime.settings)

    async def changed(self, texts: Mapping[str, str | list[str] | None]) -> tuple[Loaded, str]:
        """Write it down and have it in force; a sentence about that."""
        await asyncio.to_thread(edit.set_texts, self.web.paths, texts, self.web.environ)
        return await self.in_force([key for key in texts if key in SETTINGS and not SETTINGS[key].hot])

    async def in_force(self, later: list[str]) -> tuple[Loaded, str]:
        """Take over what was written."""
        await self.web.runtime.reload()
        loaded = await self.loaded()
        if later:
            keys = ", ".join(later)
            return loaded, self.tr("Saved. %(keys)s: in force when codex-manager is started again.") % {"keys": keys}
        if self.web.runtime.config != loaded.config:
            return loaded, self.tr("Saved, but not in force: the log says why.")
        return loaded, self.tr("Saved and in force.")

    def section_values(self, section: str, fields: list[Field], **more: Any) -> dict[str, Any]:
        """What the template of a section takes."""
        return {"name": section, "about": SECTIONS[section], "fields": fields, "problem": None, "hint": None} | more

    def strategy_values(self, loaded: Loaded, *, chosen: bool = False) -> dict[str, Any]:
        """What the template of the strategy takes; once one was `chosen`, its button is gone, and the focus needs a place."""
        return {
            "chosen": chosen,
            "strategies": STRATEGIES,
            "field": strategy_field(loaded),
            "switched_to": self.web.runtime.status()["switched_to"],
        }

    def price_values(self, loaded: Loaded, **more: Any) -> dict[str, Any]:
        """What the template of the prices takes."""
        return {
            "about": SECTIONS[PRICES],
            "prices": loaded.config.prices.plain(),
            "usual": USUAL,
            "price_fields": PRICE_FIELDS,
            "model": "",
            "typed": {},
            "errors": {},
            "problem": None,
        } | more


class Settings(_SettingsPage):
    """`/codex/settings`."""

    async def get(self) -> None:
        """All of it."""
        file = self.web.paths.config_file
        try:
            loaded = await self.loaded()
        except ConfigError as error:  # somebody is just editing the file
            self.page("settings_broken.html", file=file, error=error)
            return
        self.page(
            "settings.html",
            file=file,
            parts=[self.section_values(section, fields_of(section, loaded)) for section in sections()],
            order=list(SECTIONS),
            strategy=self.strategy_values(loaded),
            own=self.price_values(loaded),
        )


class Section(_SettingsPage):
    """`/codex/settings/section/NAME`: one form."""

    async def post(self, name: str) -> None:
        """Save what was changed in it; or, with `unset`, take one setting back to its default and leave the rest as it was typed."""
        if name not in sections():
            raise web.HTTPError(404)
        loaded = await self.loaded()
        wanted, typed = wishes(name, loaded, lambda key: self.get_body_argument(key, None))
        unset = self.get_body_argument("unset", None)
        if unset is not None:
            editable = {field.key for field in fields_of(name, loaded) if field.control != "none"}
            if unset not in editable:
                raise web.HTTPError(404)
            wanted = {unset: None}
        if not wanted:
            self._answer(name, loaded, self.tr("Nothing was changed."))
            return
        try:
            loaded, sentence = await self.changed(wanted)
        except ConfigError as error:
            self.set_status(422)
            fields = fields_of(name, loaded, typed=typed, errors=error.fields)
            beside = any(field.error for field in fields)
            values = self.section_values(
                name, fields, problem=None if beside else str(error), hint=None if beside else error.hint
            )
            self.page("settings_section.html", **values)
            return
        rest = {key: text for key, text in typed.items() if key != unset} if unset is not None else None
        self._answer(name, loaded, sentence, typed=rest)

    def _answer(self, name: str, loaded: Loaded, sentence: str, typed: Mapping[str, str] | None = None) -> None:
        fields = fields_of(name, loaded, typed=typed)
        part = self.fragment("settings_section.html", **self.section_values(name, fields))
        self.finish(part + self.done(sentence))


class Strategy(_SettingsPage):
    """`/codex/settings/strategy`: how an account is chosen, from now on."""

    async def post(self) -> None:
        """Take this one; nothing else is touched."""
        chosen = self.get_body_argument("strategy", "")
        if strategy_field(await self.loaded()).control == "none":
            raise web.HTTPError(403)
        loaded, sentence = await self.changed({STRATEGY: chosen})
        self.web.hub.hurry("overview")
        part = self.fragment("settings_strategy.html", **self.strategy_values(loaded, chosen=True))
        self.finish(part + self.done(sentence))


class Prices(_SettingsPage):
    """`/codex/settings/prices`: prices of one's own, by model."""

    async def get(self) -> None:
        """The form with one model's prices in it, to change them."""
        loaded = await self.loaded()
        model = self.get_query_argument("model", "")
        typed = {name: f"{usd:g}" for name, usd in loaded.config.prices.plain().get(model, {}).items()}
        self.page("settings_prices.html", **self.price_values(loaded, model=model, typed=typed))

    async def post(self) -> None:
        """Give a model prices instead of those it had here; or, with `remove`, the listed ones again."""
        if (gone := self.get_body_argument("remove", None)) is not None:
            loaded = await self.loaded()
            if gone not in loaded.config.prices.root:
                raise ConfigError(self.tr("this model has no prices of your own any more"))
            loaded, sentence = await self.changed({f"{PRICES}.{gone}": None})
            self._answer(loaded, sentence)
            return
        model = self.get_body_argument("model", "").strip()
        typed = {name: text for name in PRICE_FIELDS if (text := self.get_body_argument(f"price:{name}", "").strip())}
        try:
            if not model:
                key = f"{PRICES}."
                raise ConfigError("", fields={key: self.tr("name the model, as requests say it")})
            given = {name: _number(text) for name, text in typed.items()}
            await asyncio.to_thread(edit.set_values, self.web.paths, {f"{PRICES}.{model}": given}, self.web.environ)
        except ConfigError as error:
            self.set_status(422)
            key = f"{PRICES}.{model}"
            errors = {name: error.fields.get(f"{key}.{name}") for name in PRICE_FIELDS}
            mine = error.fields.get(key)
            other = None if mine or any(errors.values()) else str(error)
            values = self.price_values(
                await self.loaded(), model=model, typed=typed, errors=errors | {"model": mine}, problem=other
            )
            self.page("settings_prices.html", **values)
            return
        self._answer(*await self.in_force([]))

    def _answer(self, loaded: Loaded, sentence: str) -> None:
        part = self.fragment("settings_prices.html", **self.price_values(loaded))
        self.finish(part + self.done(sentence))


def _number(text: str) -> Any:
    """As the command line reads it; what is no number is judged with the rest."""
    try:
        return value_from_text(SETTINGS["routing.retry_ratio"], text)
    except ValueError:
        return text
