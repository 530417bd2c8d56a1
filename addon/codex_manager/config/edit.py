"""Changing the configuration file: one setting, several, or all of it.

Law: under a lock the text is read, changed, validated as a whole, and only then put in place; whatever is refused
leaves the file as it was. Comments, order and layout stay (see `splice`).
"""

import os

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from codex_manager.config import document, storage
from codex_manager.config.catalogue import Setting, alternatives, setting_at
from codex_manager.config.environment import value_from_text
from codex_manager.config.errors import ConfigError
from codex_manager.config.load import Loaded, judge
from codex_manager.config.paths import Paths
from codex_manager.config.splice import drop, put
from codex_manager.config.template import HEADER, template


__all__ = ["create", "replace_text", "reset", "set_text", "set_texts", "set_values", "setting_named", "unset"]


def setting_named(key: str) -> Setting:
    """The setting with this dotted key.

    Raises:
        ConfigError: there is none; the hint names the one probably meant.
    """
    setting = setting_at(key)
    if setting is None:
        near = alternatives(key)
        shown = key if len(key) <= 60 and key.isprintable() and "sk-" not in key else "of this name"
        raise ConfigError(
            f"there is no setting {shown}",
            hint=f"did you mean {near}?" if near else "`codex-manager config show` lists them all",
            exit_code=2,
        )
    return setting


def set_text(paths: Paths, key: str, text: str, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Set one setting to a value as a person types it.

    Raises:
        ConfigError: no such setting, or the configuration would not be valid; the file is as it was.
    """
    setting = setting_named(key)
    try:
        value = value_from_text(setting, text)
    except ValueError as error:
        raise ConfigError(f"{key} {error}") from None
    return set_values(paths, {key: value}, environ)


def set_texts(
    paths: Paths, texts: Mapping[str, str | list[str] | None], environ: Mapping[str, str] = os.environ
) -> Loaded:
    """Set several settings to values as people type them in a form, or none of them; None goes back to the default.

    Raises:
        ConfigError: as `set_text`; `fields` says what is wrong with each of them.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for key, text in texts.items():
        setting = setting_named(key)
        try:
            values[key] = value_from_text(setting, text) if isinstance(text, str) else text
        except ValueError as error:
            wrong[key] = f"{key} {error}"
    gone = [key for key, text in texts.items() if text is None]
    valid = {key: value for key, value in values.items() if key not in gone}
    if wrong:
        try:  # what is wrong with the others is said in the same breath
            _change(paths, environ, lambda text: _put(paths, text, valid, gone), touched=valid, only_judged=True)
        except ConfigError as error:
            wrong = {**error.fields, **wrong}
        raise ConfigError(next(iter(wrong.values())), problems=tuple(wrong.values()), fields=wrong)
    return _change(paths, environ, lambda text: _put(paths, text, valid, gone), touched=valid)


def set_values(paths: Paths, values: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Loaded:
    """Set several settings at once, or none of them.

    Raises:
        ConfigError: as `set_text`.
    """
    return _change(paths, environ, lambda text: _put(paths, text, values), touched=values)


def unset(paths: Paths, key: str, environ: Mapping[str, str] = os.environ) -> Loaded:
    """Go back to the default of one setting.

    Raises:
        ConfigError: as `set_text`.
    """
    setting = setting_named(key)
    return _change(paths, environ, lambda text: drop(text, paths.config_file.name, setting.section, setting.name))


def replace_text(
    paths: Paths, text: str, environ: Mapping[str, str] = os.environ, *, instead_of: str | None = None
) -> Loaded:
    """Put a whole new text in place; with `instead_of`, only if the file still holds that text.

    Raises:
        ConfigError: the text is not a valid configuration, or the file was changed meanwhile.
    """

    def change(current: str) -> str:
        if instead_of is not None and current != instead_of:
            raise ConfigError(
                f"{paths.config_file} was changed by somebody else meanwhile", hint="start again from the new text"
            )
        return text

    return _change(paths, environ, change, fresh="")


def create(paths: Paths) -> bool:
    """Write the commented starter file unless there is a configuration; whether it was written.

    Raises:
        ConfigError: the file cannot be written.
    """
    paths.make_dirs()
    with storage.exclusive(paths.config_file):
        if os.path.lexists(paths.config_file):
            return False
        storage.write(paths.config_file, template())
    return True


def reset(paths: Paths) -> bool:
    """Start anew with the defaults; the old file stays as `config.yaml.bak`. Whether there was one.

    Raises:
        ConfigError: a file cannot be written.
    """
    paths.make_dirs()
    with storage.exclusive(paths.config_file):
        existed = os.path.lexists(paths.config_file)
        if existed:
            try:
                # moved, not copied: it may be unreadable, which can be why it is reset
                paths.config_file.replace(paths.config_file.with_name(paths.config_file.name + ".bak"))
            except OSError as error:
                raise ConfigError(
                    f"{paths.config_file} cannot be moved away: {(error.strerror or str(error)).lower()}"
                ) from None
        storage.write(paths.config_file, template())
    return existed


def _put(paths: Paths, text: str, values: Mapping[str, Any], gone: Iterable[str] = ()) -> str:
    for key, value in values.items():
        setting = setting_named(key)
        text = put(text, paths.config_file.name, setting.section, setting.name, value)
    for key in gone:
        setting = setting_named(key)
        text = drop(text, paths.config_file.name, setting.section, setting.name)
    return text


def _change(
    paths: Paths,
    environ: Mapping[str, str],
    change: Callable[[str], str],
    *,
    fresh: str = HEADER,
    touched: Iterable[str] = (),
    only_judged: bool = False,
) -> Loaded:
    paths.make_dirs()
    name = paths.config_file.name
    with storage.exclusive(paths.config_file):
        text = document.read_text(paths.config_file)
        changed = change(fresh if text is None else text)
        source = document.parse(changed, name)
        for key in touched:
            source.lines[tuple(key.split(".", 1))] = 0  # its line is not in the file that the user can look at
        judge(source, {}, together=False)  # an override must not hide a bad value of the file
        loaded = judge(source, environ)
        if changed != text and not only_judged:
            storage.write(paths.config_file, changed)
    return loaded
