"""`semblant sources`: where a collection's pictures come from, and what to do when that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from semblant_search.sources import SourceRecord, find_source

from .group import command_errors
from .options import database_options
from .output import print_json, print_rows

if TYPE_CHECKING:
    from .options import Target

__all__ = ["ListedByDefault", "sources"]


class ListedByDefault(click.Group):
    """Without the name of a command it lists."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in `list` where no command is named."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=ListedByDefault)
def sources() -> None:
    """List the sources of a collection; remove or relocate one."""


@sources.command("list")
@database_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def list_sources(target: Target, as_json: bool) -> None:
    """List the sources: folders, lists and tar files that were indexed, and `client`, what programs added.

    A picture that several sources hold counts in each.
    """
    with target.client() as client:
        found = client.sources()
    if as_json:
        print_json([one.to_json() for one in found])
        return
    rows = [[one.name, f"{one.pictures:,}", one.scanned_at or "", one.root] for one in found]
    print_rows(["source", "pictures", "seen completely", "root"], rows, right=(1,))


@sources.command()
@click.argument("name")
@database_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_errors()
def remove(name: str, target: Target, yes: bool) -> None:
    """Forget a source and remove its pictures from the collection.

    NAME is its name, id or root. Pictures that another source holds, too, stay. The files stay where they are.
    """
    with target.client() as client:
        if not yes:
            # Raises for a source that there is not, before anybody is asked.
            find_source([SourceRecord(one.id, one.name, one.root) for one in client.sources()], name)
            click.confirm(f"Remove source {name!r} from collection {target.collection!r}?", abort=True, err=True)
        released = client.remove_source(name)
    click.echo(f"removed {released.deleted:,} pictures; {released.kept:,} stay, because other sources hold them", err=True)


@sources.command()
@click.argument("old")
@click.argument("new")
@database_options
@click.option("--check/--no-check", default=True, help="Read the files at the new place and compare them.  [default: --check]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def relocate(old: str, new: str, target: Target, check: bool, as_json: bool) -> None:
    """Follow a source whose files moved: its pictures get their new names, and keep their vectors.

    OLD is the source's name, id or old root, NEW the path or URL of its folder, list or tar now. Only pictures whose files are
    there as they were indexed are renamed; `semblant index NEW` does the rest.
    """
    with target.client() as client:
        done = client.relocate_source(old, new, check=check)
    if as_json:
        print_json(done.to_json())
        return
    rest = [(done.missing, "missing"), (done.different, "other by now"), (done.elsewhere, "elsewhere")]
    others = "".join(f", {count:,} {what}" for count, what in rest if count)
    click.echo(f"{done.name}: {done.new}, before it was {done.old}; {done.renamed:,} pictures renamed{others}")
