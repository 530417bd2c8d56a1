"""`codex-manager config …`: shows and changes the configuration file.

Knows how to talk about settings; what they are and whether they are valid is codex_manager.config's business. Law: a
key that is not one of the well-known defaults is printed as its last four characters unless `--reveal` asks for it.
"""

import os
import shlex
import sys

from pathlib import Path

import click

from codex_manager.config.paths import Paths
from codex_manager_cli import suggest
from codex_manager_cli.talk import emit_json, fail, read_secret, say, warn


__all__ = ["config"]

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.group()
def config() -> None:
    """Show and change the configuration.

    Settings are named SECTION.KEY, for example routing.strategy. Each one can also be set for a single run by an
    environment variable: CODEX_MANAGER__ROUTING__STRATEGY.
    """


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value comes from: default, file, or environment.")
@_json
def show(*, origin: bool, as_json: bool) -> None:
    """Print all settings as they are in force."""
    from codex_manager.config import load
    from codex_manager.config.catalogue import plain_values, setting_at
    from codex_manager.config.showing import shown
    from codex_manager.config.splice import as_yaml

    paths = Paths.locate()
    loaded = load.read(paths)
    values = {key: shown(key, value) for key, value in plain_values(loaded.config).items()}
    if as_json:
        settings = {key: {"value": value, "origin": loaded.origins[key]} for key, value in values.items()}
        emit_json({
            "config_file": str(paths.config_file), "exists": paths.config_file.exists(), "settings": settings
        })  # fmt: skip
        return
    section = None
    for key, value in values.items():
        setting = setting_at(key)
        assert setting is not None
        if setting.section != section:
            section = setting.section
            click.echo(f"{section}:")
        line = f"  {as_yaml(setting.name)}: {as_yaml(value)}"
        source = (
            f"{loaded.origins[key]} {setting.variable}" if loaded.origins[key] == "environment" else loaded.origins[key]
        )
        click.echo(f"{line:<48}  # {source}" if origin else line)


@config.command()
@click.argument("key", shell_complete=suggest.settings)
@click.option("--reveal", is_flag=True, help="Print a secret value in clear.")
@_json
def get(key: str, *, reveal: bool, as_json: bool) -> None:
    """Print one setting as it is in force."""
    from codex_manager.config import edit, load
    from codex_manager.config.catalogue import plain_values
    from codex_manager.config.showing import shown
    from codex_manager.config.splice import as_yaml
    from codex_manager.core.secret import Secret

    setting = edit.setting_named(key)
    loaded = load.read(Paths.locate())
    values = plain_values(loaded.config)
    if key not in values:
        fail(
            f"{setting.name} has no price of your own",
            hint=f"what it costs: codex-manager prices {shlex.quote(setting.name)}",
        )
    value = values[key]
    if isinstance(value, Secret) and reveal:
        value = value.reveal()
    elif not reveal:
        value = shown(key, value)
    if as_json:
        emit_json({"key": key, "value": value, "origin": loaded.origins[setting.key]})
    else:
        click.echo(value if isinstance(value, str) else as_yaml(value))


@config.command("set")
@click.argument("key", shell_complete=suggest.settings)
@click.argument("value", required=False, shell_complete=suggest.values)
def set_(key: str, value: str | None) -> None:
    """Change one setting; comments in the file stay.

    VALUE is written as in YAML: priority, 250, true, [one, two]. `-` reads it from stdin; a secret is asked for
    without echo when VALUE is left out.
    """
    from codex_manager.config import edit

    setting = edit.setting_named(key)
    if value == "-" or (value is None and setting.secret):
        value = read_secret(key, value).reveal()
    elif value is None:
        fail(f"no value given for {key}", hint=f"codex-manager config set {key} VALUE", exit_code=2)
    paths = Paths.locate()
    loaded = edit.set_text(paths, key, value)
    _changed(key, loaded.origins[key], f"{key} is set in {paths.config_file}")


@config.command()
@click.argument("key", shell_complete=suggest.settings)
def unset(key: str) -> None:
    """Take one setting out of the file, so that its default applies."""
    from codex_manager.config import edit

    edit.setting_named(key)
    paths = Paths.locate()
    if not paths.config_file.exists():
        say(f"{key} is not set: there is no {paths.config_file}")
        return
    loaded = edit.unset(paths, key)
    _changed(key, loaded.origins.get(key, "default"), f"{key} is at its default")


@config.command()
@_json
def path(*, as_json: bool) -> None:
    """Print where the configuration file is (or would be)."""
    file = Paths.locate().config_file
    if as_json:
        emit_json({"config_file": str(file), "exists": file.exists()})
    else:
        click.echo(file)


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_json
def validate(file: Path | None, *, as_json: bool) -> None:
    """Check the configuration, or another FILE, and print all mistakes."""
    from codex_manager.config import document, load
    from codex_manager.config.errors import ConfigError

    target = file or Paths.locate().config_file
    problems: tuple[str, ...] = ()
    hint = None
    try:
        text = document.read_text(target)
        if text is None and file is not None:
            fail(f"there is no file {file}")
        load.judge(document.parse(text or "", target.name), os.environ)
    except ConfigError as error:
        problems, hint = error.problems, error.hint
    if as_json:
        emit_json({"file": str(target), "valid": not problems, "problems": list(problems)})
        if problems:
            raise click.exceptions.Exit(1)
        return
    for problem in problems[1:]:
        click.echo(f"codex-manager: error: {problem}", err=True)
    if problems:
        fail(problems[0], hint=hint)
    say(f"{target} is valid" if text is not None else f"there is no {target}; the defaults apply and are valid")


@config.command()
def edit() -> None:
    """Open the file in $VISUAL or $EDITOR; it is checked before it takes effect."""
    from codex_manager.config import document, storage
    from codex_manager.config import edit as editing
    from codex_manager.config.errors import ConfigError
    from codex_manager.config.template import template
    from codex_manager_cli.editor import open_editor

    paths = Paths.locate()
    paths.make_dirs()
    before = document.read_text(paths.config_file)
    draft = paths.config_file.with_name(f"config.draft-{os.getpid()}.yaml")
    offered = template() if before is None else before
    storage.write(draft, offered)
    while True:
        open_editor(draft)
        after = document.read_text(draft)
        if after is None or after == offered:
            draft.unlink(missing_ok=True)
            say("nothing was changed")
            return
        try:
            editing.replace_text(paths, after, instead_of=before or "")
        except ConfigError as error:
            click.echo(f"codex-manager: error: {error}", err=True)
            if not (sys.stdin.isatty() and click.confirm("edit again?", default=True, err=True)):
                fail(f"{paths.config_file} is as it was", hint=f"your version is kept in {draft}")
        else:
            draft.unlink(missing_ok=True)
            say(f"{paths.config_file} is changed")
            return


@config.command("import")
@click.argument("file", type=click.Path(path_type=Path))
def import_(file: Path) -> None:
    """Take over the settings of FILE: a config.toml of codex-account-manager, or a YAML file.

    Settings that FILE does not mention stay as they are.
    """
    from codex_manager.config import edit, toml_import

    taken = toml_import.from_file(file)
    paths = Paths.locate()
    if taken.values:
        edit.set_values(paths, taken.values)
    for name in taken.left_out:
        warn(f"{_short(name)} of {file.name} has no meaning here and is not taken over")
    say(f"{len(taken.values)} settings taken over into {paths.config_file}")


@config.command()
@_yes
def reset(*, yes: bool) -> None:
    """Start anew with the defaults; the old file is kept as config.yaml.bak."""
    from codex_manager.config import edit

    paths = Paths.locate()
    if os.path.lexists(paths.config_file) and not yes:
        if not sys.stdin.isatty():
            fail("this replaces the configuration and there is no terminal to ask on", hint="add --yes", exit_code=2)
        click.confirm(f"replace {paths.config_file} by the defaults?", abort=True, err=True)
    existed = edit.reset(paths)
    say(f"{paths.config_file} holds the defaults" + ("; the old one is config.yaml.bak beside it" if existed else ""))


def _changed(key: str, origin: str, sentence: str) -> None:
    from codex_manager.config.edit import setting_named

    say(sentence)
    setting = setting_named(key)
    if origin == "environment":
        warn(f"{setting.variable} is set in this environment and goes before the file")
    if not setting.hot:
        say("a running proxy takes this over when it is started again")


def _short(name: str) -> str:
    return name if len(name) <= 60 and name.isprintable() and "sk-" not in name else "a setting"
