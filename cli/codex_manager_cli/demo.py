"""`codex-manager demo`: see it work in 20 seconds, without an account. What it shows is in `demo_play`, loaded when it is played."""

import click


__all__ = ["demo"]


@click.command()
@click.option("--keep", is_flag=True, help="Leave the proxy running afterwards, to play with; Ctrl-C ends it.")
def demo(*, keep: bool) -> None:
    """See it work in 20 seconds; needs no account.

    A fake OpenAI on this machine, a temporary vault with three accounts (one limited, one revoked), the real proxy, and
    real requests through it, streams too. Uses the `openai` SDK if it is installed. Nothing of yours is touched.
    """
    from codex_manager_cli import demo_play

    demo_play.perform(keep=keep)
