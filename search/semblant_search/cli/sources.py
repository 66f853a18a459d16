"""`semblant sources`: where a collection's pictures come from, and what to do when that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from semblant_search.errors import InvalidInput
from semblant_search.shown import counted
from semblant_search.sources import SourceRecord, find_source

from .confirming import confirm
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
    """List the sources of a collection; remove, rename or relocate one."""


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
    for one in found:
        if one.damaged:
            click.echo(f"Note: {one.damaged}", err=True)


@sources.command()
@click.argument("name")
@database_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_errors()
def remove(name: str, target: Target, yes: bool) -> None:
    """Forget a source and remove its pictures from the collection.

    NAME is its name, its id, or its root: any path or URL of it. Pictures that another source holds, too, stay. The files stay
    where they are.
    """
    with target.client() as client:
        if not yes:
            known = client.sources()
            if not any(one.damaged and one.id == name for one in known):
                # Raises for a source that there is not, before anybody is asked.
                find_source([SourceRecord(one.id, one.name, one.root) for one in known if not one.damaged], name)
            confirm(f"Remove source {name!r} from collection {target.collection!r}?")
        released = client.remove_source(name)
    click.echo(
        f"removed {counted(released.deleted, 'picture')}; {released.kept:,} kept, because other sources hold them", err=True
    )


@sources.command()
@click.argument("old")
@click.argument("new")
@database_options
@command_errors()
def rename(old: str, new: str, target: Target) -> None:
    """Call a source otherwise.

    OLD is its name, its id, or its root: any path or URL of it. NEW is a name that no other source has. Its pictures, and where
    they lie, stay as they are: for files that moved there is `semblant sources relocate`.
    """
    with target.client() as client:
        done = client.rename_source(old, new)
    click.echo(f"{done.name}: {done.root}, {counted(done.pictures, 'picture')}", err=True)


@sources.command()
@click.argument("old")
@click.argument("new")
@database_options
@click.option("--check/--no-check", default=True, help="Read the files at the new place and compare them.  [default: --check]")
@click.option("--dry-run", is_flag=True, help="Change nothing, only say what would become of the pictures.")
@click.option("--yes", is_flag=True, help="Do not ask where values of metadata go.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@command_errors()
def relocate(old: str, new: str, target: Target, check: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Follow a source whose files moved: its pictures get their new names, and keep their vectors.

    OLD is the source's name, its id, or its old root, NEW the path or URL of its folder, list or tar now. Only pictures whose
    files are there as they were indexed are renamed; `semblant index NEW` does the rest.

    Where NEW was indexed meanwhile, and is a source, too, the two become one, which is called OLD: pictures of the same
    relative path and content are one again, with the metadata of both. It asks first where both say a field with other
    values, of which those of OLD stay.
    """
    with target.client() as client:
        if not dry_run and not yes and any(_is_root(one.root, new) for one in client.sources()):
            found = client.relocate_source(old, new, check=check, dry_run=True)
            if found.overridden:
                confirm(
                    f"{found.overridden:,} pictures have other values of the same fields in {found.joined!r} than in "
                    f"{found.name!r}, and keep those of {found.name!r}. Make the two sources one?"
                )
        done = client.relocate_source(old, new, check=check, dry_run=dry_run)
    if as_json:
        print_json(done.to_json())
        return
    told = [
        (done.merged, f"of them one with those of {done.joined!r}"),
        (done.overridden, "of these with values that differed"),
        (done.missing, "missing"),
        (done.different, "other by now"),
        (done.elsewhere, "elsewhere"),
    ]
    others = "".join(f", {count:,} {what}" for count, what in told if count)
    would = "would be " if dry_run else ""
    joined = "" if done.joined is None else f"; {done.joined!r} {'would become' if dry_run else 'is'} part of it"
    click.echo(
        f"{done.name}: {done.new}, before it was {done.old}; {counted(done.renamed, 'picture')} {would}renamed{others}{joined}"
    )


def _is_root(root: str, path: str) -> bool:
    """Whether a source's root is what a path or URL names."""
    try:
        find_source([SourceRecord("", "", root)], path)
    except InvalidInput:
        return False
    return bool(root)
