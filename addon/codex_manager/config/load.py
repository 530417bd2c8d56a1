"""The configuration in force: defaults, then the file, then the environment, then the command line.

Law: either a valid `Config` comes out or one `ConfigError` whose message names file, line and key; a missing file is
not an error. Nothing is written and nothing is remembered, so a watcher may call this as often as it likes.
"""

import os

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from codex_manager.config import document, environment
from codex_manager.config.catalogue import PRICES, SETTINGS
from codex_manager.config.checks import conflicts
from codex_manager.config.complaint import field_of, key_of, sentence
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
    } | {".".join(path): "file" for path in source.lines if path[0] == PRICES and len(path) > 1}
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

    def found(path: tuple[str, ...], text: str, cure: str | None = None, field: str | None = None) -> _Finding:
        key = ".".join(path)
        match origins.get(key):
            case "environment":
                variable = SETTINGS[key].variable
                cures = f"correct or unset {variable}" + (f"; {cure}" if cure else "")
                return _Finding(1 << 30, f"environment variable {variable}: {text}", cures, key, text)
            case "command line":
                return _Finding(1 << 31, f"{options[key][0]}: {text}", cure, key, text)
        return _Finding(source.lines.get(path, 0), f"{source.where(*path)}: {text}", cure or _CURE, field or key, text)

    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise _complain(
            [
                found(key_of(detail), sentence(detail), field=field_of(detail))
                for detail in error.errors(include_url=False)
            ]
        ) from None
    if together and (wrong := list(conflicts(config))):
        raise _complain([found(tuple(one.key.split(".")), f"{one.key} {one.text}", one.cure) for one in wrong])
    return Loaded(config, origins)


_CURE = "`codex-manager config set KEY VALUE` or `codex-manager config edit` changes the file"


class _Finding(NamedTuple):
    order: int
    sentence: str
    cure: str | None
    field: str
    bare: str
    """The sentence without the place."""


def _complain(findings: list[_Finding]) -> ConfigError:
    """One error of many: the first of the file leads."""
    findings = sorted(findings, key=lambda finding: finding.order)
    return ConfigError(
        findings[0].sentence,
        hint=findings[0].cure,
        problems=tuple(finding.sentence for finding in findings),
        fields={finding.field: finding.bare for finding in reversed(findings)},  # the first one of a field counts
    )
