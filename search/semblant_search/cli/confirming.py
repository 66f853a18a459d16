"""Asking before something is taken away that does not come back."""

from __future__ import annotations

import click

__all__ = ["confirm"]


def confirm(question: str) -> None:
    """Ask on the terminal; return for a yes.

    Raises:
        click.UsageError: there is nobody to answer, as in a script: it says what was asked, and how to say yes beforehand.
        click.ClickException: the answer is no.
    """
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, EOFError):  # click raises the same for Ctrl-C
            click.echo(err=True)
            raise click.UsageError(
                f"{question} Nobody answered, so that nothing was changed; without a terminal, say yes beforehand: --yes"
            ) from error
        raise
    if not agreed:
        raise click.ClickException("Nothing was changed.")
