"""`semblant index` and `semblant retry`."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from semblant_search.cli import command_errors
from semblant_search.cli.options import database_options
from semblant_search.shown import counted

from .config import config_option
from .learned import with_encoder
from .running import Output, job_options

if TYPE_CHECKING:
    from semblant_search.cli.options import Target

__all__ = ["index", "retry"]

_PATH = click.Path(path_type=Path)


class Percent(click.types.FloatParamType):
    """A share as the command line has it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number. Fails beyond 0 and 100."""
        number = float(super().convert(value, param, ctx))
        if not 0 <= number <= 100:
            self.fail(f"{value}: expected a percentage from 0 to 100, such as 20", param, ctx)
        return number


@click.command()
@click.argument("source", metavar="SOURCE")
@config_option
@click.option(
    "--encoder",
    type=_PATH,
    metavar="FILE",
    help="The encoder.onnx that makes the vectors.  [default: the collection's, or learned]",
)
@partial(database_options, required=False)
@click.option("--source", "source_name", metavar="NAME", help="What the collection calls it.  [default: its folder or file]")
@click.option("--include", multiple=True, metavar="PATTERN", help="Take only files that match, such as '*.jpg' or '2024/*'.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out files and folders that match.")
@click.option("--hidden", is_flag=True, help="Take files and folders whose names begin with a dot, too.")
@click.option("--include-system", is_flag=True, help="Take what systems keep beside your files, too: @eaDir, .thumbnails, ….")
@click.option(
    "--frames",
    metavar="WHICH",
    help="Of files with several pictures (TIFF, GIF, PDF, films): first, all, or a number of them.  [default: first]",
)
@click.option(
    "--metadata", type=_PATH, metavar="FILE", help="Table with a `file` column; metadata.csv in SOURCE or beside it is found."
)
@click.option("--no-metadata", is_flag=True, help="Read no metadata table, and take away what one gave before.")
@click.option(
    "--file-column",
    metavar="NAME",
    help="Column of a table that names the picture.  [default: file, path, file_name, …]",
)
@click.option("--field", "fields", multiple=True, metavar="NAME:TYPE", help="Type of a metadata field, such as price:float.")
@click.option("--orb/--no-orb", default=True, help="Extract ORB features, for searches by details.  [default: --orb]")
@click.option("--exif", is_flag=True, help="Add when, where and with what camera a picture was taken.")
@click.option(
    "--duplicates",
    type=click.Choice(["keep", "flag", "merge"]),
    default="keep",
    show_default=True,
    help="Byte for byte equal pictures of SOURCE: keep all, flag all but the first (_duplicate_of), or store one (_uris). "
    "Other sources are not compared.",
)
@click.option("--rebuild", is_flag=True, help="Build a new generation beside the serving one, then switch to it.")
@click.option("--keep-generations", type=int, metavar="N", help="Older generations to keep for a rollback.  [default: 1]")
@click.option("--prune", is_flag=True, help="Remove pictures from the collection that SOURCE no longer holds.")
@click.option(
    "--prune-limit",
    "limit",
    type=Percent(),
    metavar="PERCENT",
    help="Prune nothing where it would be more of SOURCE's.  [default: 20 %]",
)
@click.option(
    "--export", type=_PATH, metavar="DIR", help="Write all vectors and metadata as .npy and Parquet here: too, or without --db."
)
@click.option("--dry-run", is_flag=True, help="Say what would be indexed, moved and removed; write nothing.")
@click.option("--retry", is_flag=True, help="Try pictures again that failed before, although they did not change.")
@click.option("--verify", is_flag=True, help="Tell what changed by reading every file, not by sizes and times.")
@click.option("--watch", is_flag=True, help="Stay, and index again whenever something changes in the folder.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Run on this machine, or on a Ray cluster (RAY_ADDRESS; needs semblant-indexer[ray], and a server as --db).",
)
@click.option("--workers", type=int, metavar="N", help="Decode processes.  [default: one for each core]")
@click.option("--threads", type=int, metavar="N", help="Threads of the encoder.  [default: one for each core]")
@click.option("--batch", type=int, metavar="N", help="Pictures in a batch.  [default: by picture size]")
@click.option("--max-pixels", type=int, metavar="N", help="Reject larger pictures before decoding.  [default: 100000000]")
@click.option("--patience", type=float, metavar="SECONDS", help="Time that decoding one picture may take.  [default: 60]")
@click.option("--state", type=_PATH, metavar="DIR", help="Folder of the ledger.  [default: in the database]")
@click.option("--wait", type=float, metavar="SECONDS", help="Wait for another job on the collection.  [default: 0]")
@click.option(
    "--quantize", type=click.Choice(["scalar", "turbo", "binary"]), help="Search by small copies of the vectors; saves memory."
)
@click.option("--on-disk", is_flag=True, help="Read vectors and graph from disk when they are needed; saves memory.")
@click.option("--shards", type=int, metavar="N", help="Of a new collection on a cluster: parts.  [default: the server's]")
@click.option("--replicas", type=int, metavar="N", help="Nodes that hold each part.  [default: the server's]")
@click.option("--write-consistency", type=int, metavar="N", help="Replicas that must take a write.  [default: the server's]")
@job_options
@command_errors()
def index(
    target: Target,
    fields: tuple[str, ...],
    orb: bool,
    duplicates: str,
    quantize: str | None,
    on_disk: bool,
    shards: int | None,
    replicas: int | None,
    write_consistency: int | None,
    limit: float | None,
    no_metadata: bool,
    export: Path | None,
    dry_run: bool,
    watch: bool,
    output: Output,
    **options: Any,
) -> None:
    """Index a folder of pictures, or a list of them, and their metadata.

    SOURCE is a folder, a list with a `file` column (CSV, JSON Lines, Parquet), a WebDataset tar or a quoted pattern of several,
    or the URL of one of these (s3://, gs://, https://, …).

    With --config a file says all of that, SOURCE included.

    Run it again at any time: only what is new or changed is encoded. Exit code 3: done, but some pictures could not be used.
    """
    from semblant_search.collection import StorageOptions
    from semblant_search.writing.metadata import parse_declaration

    from semblant_indexer.job import Duplicates, IndexJob

    if not target.db and (export is None or dry_run or watch):
        raise click.MissingParameter(param_hint="'--db'", param_type="option")
    given = {name: value for name, value in options.items() if value is not None}
    given.setdefault("encoder", None)
    storage = StorageOptions(quantize, on_disk, shards, replicas, write_consistency)
    if storage != StorageOptions():
        given["storage"] = storage
    if limit is not None:
        given["prune_limit"] = limit / 100
    if no_metadata and "metadata" in given:
        raise click.UsageError("--metadata and --no-metadata: give a table, or none")
    if no_metadata:
        given["find_metadata"] = False
    if not orb:
        given["orb"] = None
    job = IndexJob(
        db=target.db or str(export),
        collection=target.collection,
        api_key=target.api_key,
        timeout=target.timeout,
        fields=dict(parse_declaration(text) for text in fields),
        duplicates=Duplicates(duplicates),
        **given,
    )
    if dry_run:
        output.preview(job)
        return
    if export is not None:
        from semblant_indexer.vector_files import check_export

        check_export(export)
    if not target.db:
        output.encode(job)
    with with_encoder(job, quiet=output.quiet or output.json_log) as ready:
        output.run(ready, watch=watch, export=export)


@click.command()
@database_options
@click.option("--state", type=_PATH, metavar="DIR", help="Folder of the ledger.  [default: in the database]")
@job_options
@command_errors()
def retry(target: Target, state: Path | None, output: Output) -> None:
    """Try the pictures again that failed.

    Runs the last job of each source again that has failures; pictures that are indexed as they are cost next to nothing. Exit
    code 3: some failed again. Of several sources --json and --report have one document each, one after another.
    """
    from semblant_indexer.status import failed_jobs

    found = failed_jobs(
        target.db,
        target.collection,
        state=state,
        api_key=target.api_key,
        timeout=target.timeout,
        encoder=None,
        retry=True,
        rebuild=False,
        prune=False,
        verify=False,
    )
    for source, count in found.unknown.items():
        click.echo(
            f"kept {counted(count, 'failure')} of {source}: its job is not known any more; index it again with --retry",
            err=True,
        )
    for name, count in found.away.items():
        click.echo(
            f"kept {counted(count, 'failure')} of source {name!r}, for it is not there: bring it back, say where it is now "
            f"(semblant sources relocate {shlex.quote(name)} NEW), or remove it and its pictures (semblant sources remove "
            f"{shlex.quote(name)})",
            err=True,
        )
    if not (found.jobs or found.unknown or found.away):
        click.echo("nothing failed")
    output.run(*found.jobs, least_code=3 if found.unknown or found.away else 0)
