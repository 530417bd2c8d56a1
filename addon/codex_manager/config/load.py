"""The configuration in force: defaults, then the file, then the environment, then the command line.

Law: either a valid `Config` comes out or one `ConfigError` whose message names file, line and key; a missing file is
not an error. Nothing is written and nothing is remembered, so a watcher may call this as often as it likes.
"""

import os

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from codex_manager.config import document, environment
from codex_manager.config.catalogue import SETTINGS
from codex_manager.config.checks import conflicts
from codex_manager.config.complaint import key_of, sentence
from codex_manager.config.document import Document
from codex_manager.config.errors import ConfigError
from codex_manager.config.paths import Paths
from codex_manager.config.schema import Config


__all__ = ["Loaded", "Origin", "judge", "load", "read"]

type Origin = Literal["default", "file", "environment", "command line"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where each of its values comes from (by dotted key)."""

    config: Config
    origins: dict[str, Origin]


def load(
    paths: Paths, environ: Mapping[str, str] = os.environ, *, options: Mapping[str, tuple[str, Any]] | None = None
) -> Config:
    """The configuration in force.

    `options` are values from the command line by dotted key, each with the name of its option for error messages:
    `{"proxy.bind_addr": ("--bind", "127.0.0.1:8081")}`.

    Raises:
        ConfigError: something in it is wrong or unsafe.
    """
    return read(paths, environ, options=options).config


def read(
    paths: Paths, environ: Mapping[str, str] = os.environ, *, options: Mapping[str, tuple[str, Any]] | None = None
) -> Loaded:
    """As `load`, and where each value comes from."""
    return judge(document.read(paths.config_file), environ, options=options)


def judge(
    source: Document,
    environ: Mapping[str, str],
    *,
    options: Mapping[str, tuple[str, Any]] | None = None,
    together: bool = True,
) -> Loaded:
    """A document with its overrides, validated; `together=False` judges each value by itself only.

    Raises:
        ConfigError: as `load`.
    """
    options = options or {}
    from_environment = environment.overrides(environ)
    values = {name: dict(keys) if isinstance(keys, dict) else keys for name, keys in source.values.items()}
    origins: dict[str, Origin] = {
        key: "file" if (setting.section, setting.name) in source.lines else "default"
        for key, setting in SETTINGS.items()
    }
    given: list[tuple[Origin, Mapping[str, Any]]] = [
        ("environment", from_environment),
        ("command line", {key: value for key, (_, value) in options.items()}),
    ]
    for origin, mapping in given:
        for key, value in mapping.items():
            setting = SETTINGS[key]
            section = values.setdefault(setting.section, {})
            if isinstance(section, dict):
                section[setting.name] = value
            origins[key] = origin

    def where(*path: str) -> tuple[int, str]:
        """For sorting: the line; for the sentence: the place."""
        key = ".".join(path)
        match origins.get(key):
            case "environment":
                return 1 << 30, f"environment variable {SETTINGS[key].variable}"
            case "command line":
                return 1 << 31, options[key][0]
        return source.lines.get(path, 0), source.where(*path)

    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        wrong = [(*where(*key_of(detail)), sentence(detail), _CURE) for detail in error.errors(include_url=False)]
        raise _complain(wrong) from None
    wrong = [
        (*where(*conflict.key.split(".")), f"{conflict.key} {conflict.text}", conflict.cure)
        for conflict in (conflicts(config) if together else ())
    ]
    if wrong:
        raise _complain(wrong)
    return Loaded(config, origins)


_CURE = "correct it with `codex-manager config edit`, or `codex-manager config set KEY VALUE`"


def _complain(wrong: list[tuple[int, str, str, str]]) -> ConfigError:
    """One error of many; each is (line for sorting, place, sentence, cure)."""
    wrong = sorted(wrong, key=lambda item: item[0])
    sentences = tuple(f"{place}: {text}" for _, place, text, _ in wrong)
    return ConfigError(sentences[0], hint=wrong[0][3], problems=sentences)
