"""The settings one by one, read off the schema: for environment variables, `config get`, and the documentation.

Law: nothing about a setting is written here; change `schema` and this follows.
"""

import difflib
import types
import typing

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import annotated_types

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from codex_manager.config.prices import EXAMPLE, ModelPrices, PricesSection
from codex_manager.config.schema import Config
from codex_manager.core.secret import Secret


__all__ = [
    "PRICES",
    "PRICE_FIELDS",
    "SECTIONS",
    "SETTINGS",
    "VARIABLE_PREFIX",
    "Setting",
    "alternatives",
    "closest",
    "plain_values",
    "price_setting",
    "setting_at",
]

VARIABLE_PREFIX = "CODEX_MANAGER__"
PRICES = "prices"
"""The section whose keys are names of models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key of the configuration."""

    section: str
    name: str
    kind: Literal["text", "whole number", "number", "true or false", "choice", "list", "prices"]
    default: Any
    description: str
    unit: str
    hot: bool
    """Whether a running proxy takes a change over."""
    nullable: bool
    secret: bool
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"{VARIABLE_PREFIX}{self.section}__{self.name}".upper()

    def demand(self) -> str:
        """What a value must be, to follow the key in a sentence."""
        if self.kind == "choice":
            return (
                f"must be one of {', '.join(self.choices)}" if len(self.choices) > 1 else f"must be {self.choices[0]}"
            )
        if self.low is not None and self.high is not None:
            return f"must be a {self.kind} from {self.low:g} to {_plain(self.high)}"
        return {
            "text": "must be text; put it in quotes",
            "list": "must be a list, such as [one, two]",
            "prices": f"must be prices, such as {EXAMPLE}",
            "true or false": "must be true or false",
        }.get(self.kind, f"must be a {self.kind}")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _setting(section: str, name: str, field: FieldInfo) -> Setting:
    annotation, nullable = field.annotation, False
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        nullable = True
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    extra = typing.cast("dict[str, Any]", field.json_schema_extra)
    kinds: dict[Any, Any] = {str: "text", Secret: "text", int: "whole number", float: "number", bool: "true or false"}
    origin = typing.get_origin(annotation)
    return Setting(
        section=section,
        name=name,
        kind="choice" if origin is Literal else "list" if origin is tuple else kinds[annotation],
        default=field.default,
        description=field.description or "",
        unit=extra["unit"],
        hot=extra["hot"],
        nullable=nullable,
        secret=annotation is Secret,
        choices=typing.get_args(annotation) if origin is Literal else (),
        low=next((float(str(m.ge)) for m in field.metadata if isinstance(m, annotated_types.Ge)), None),
        high=next((float(str(m.le)) for m in field.metadata if isinstance(m, annotated_types.Le)), None),
    )


def _sections() -> dict[str, type[BaseModel]]:
    return {name: typing.cast("type[BaseModel]", field.annotation) for name, field in Config.model_fields.items()}


SECTIONS: dict[str, str] = {name: (model.__doc__ or "").strip() for name, model in _sections().items()}
"""Sections in order, with the sentence that explains each."""

SETTINGS: dict[str, Setting] = {
    setting.key: setting
    for section, model in _sections().items()
    if model is not PricesSection
    for setting in (_setting(section, name, field) for name, field in model.model_fields.items())
}
"""All settings by dotted key, in order; but for prices, which any model may have."""

PRICE_FIELDS: dict[str, str] = {name: field.description or "" for name, field in ModelPrices.model_fields.items()}
"""What may be priced of a model, with the sentence that explains each."""


def setting_at(key: str) -> Setting | None:
    """The setting with this dotted key; under `prices.`, that of any model."""
    section, _, name = key.partition(".")
    return price_setting(name) if section == PRICES and name else SETTINGS.get(key)


def price_setting(model: str) -> Setting:
    """The prices of one model."""
    return Setting(
        section=PRICES,
        name=model,
        kind="prices",
        default=None,
        description="Prices of your own.",
        unit="US dollars",
        hot=True,
        nullable=False,
        secret=False,
    )


def closest(word: str, words: Iterable[str]) -> str | None:
    """What was probably meant."""
    near = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=0.6)
    return near[0] if near else None


def alternatives(key: str) -> str | None:
    """The setting probably meant by an unknown dotted key: by its whole, or by its last part alone."""
    if near := closest(key, SETTINGS):
        return near
    name = key.rpartition(".")[2]
    return next((setting.key for setting in SETTINGS.values() if setting.name == name), None)


def plain_values(config: Config) -> dict[str, Any]:
    """Every value by dotted key; the key stays a `Secret`, lists are lists, prices of a model are a dict."""
    values = {key: getattr(getattr(config, setting.section), setting.name) for key, setting in SETTINGS.items()}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return plain | {f"{PRICES}.{model}": prices for model, prices in config.prices.plain().items()}
