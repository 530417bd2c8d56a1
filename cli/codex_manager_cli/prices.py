"""`prices`: what models cost, where that is from and how old it is."""

import fnmatch
import shlex

import click

from codex_manager_cli.talk import emit_json, fail, say, warn


__all__ = ["prices"]


@click.command()
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prices(model: str | None, *, as_json: bool) -> None:
    """Show what models cost: all of them, those like `gpt-5*`, or one MODEL in full.

    US dollars; for tokens, for a million of them. To give a model a price of your own:

      codex-manager config set prices.MODEL '{input: 1.25, cached_input: 0.125, output: 10}'
    """
    from codex_manager.config import load
    from codex_manager.config.paths import Paths
    from codex_manager.ledger.prices import Prices
    from codex_manager_cli.price_view import as_data, as_page, as_table

    known = Prices.load(load.load(Paths.locate()).prices.overrides())
    if model is None or any(sign in model for sign in "*?["):
        names = [name for name in known.names() if model is None or fnmatch.fnmatchcase(name, model.lower())]
        if not names:
            fail(f"no model with a price is like {model}", hint="`codex-manager prices` shows all of them")
        quotes = [known.quote(name) for name in names]
        if as_json:
            emit_json([as_data({tier: known.quote(name, tier) for tier in known.tiers(name)}) for name in names])
            return
        click.echo(as_table(quotes))
        say(
            f"US dollars, for a million tokens; {known.library.source}, which was last compared on {known.library.date}"
        )
        return
    if not model.strip() or not model.isprintable() or "sk-" in model.lower():
        fail("this is no name of a model", exit_code=2)
    at_tiers = {tier: known.quote(model, tier) for tier in known.tiers(model)}
    if as_json:
        emit_json(as_data(at_tiers))
    else:
        click.echo(as_page(at_tiers))
    quote = at_tiers["default"]
    if not quote.known:
        warn(f"{quote.name} has no price; it counts as the dearest of {quote.family}")
        key = shlex.quote(f"prices.{quote.name}")
        say(f"to give it one: codex-manager config set {key} '{{input: 1.25, output: 10}}'")
