"""`semblant map`, `semblant cluster` and `semblant outliers`."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from semblant_search.cli import command_errors
from semblant_search.cli.options import database_options
from semblant_search.cli.output import print_json, print_rows
from semblant_search.shown import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from semblant_search.cli.options import Target

    from semblant_indexer.analysis.clusters import Clustering

__all__ = ["cluster", "map_", "outliers"]

_CLUSTERS, _SILHOUETTES, _ELBOW = "clusters.png", "silhouettes.png", "elbow.png"

_draw = click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Draw it, as PNG.")
_seed = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    help="Of what is drawn: the same pictures give the same result.",
)
_wait = click.option(
    "--wait", default=0.0, type=click.FloatRange(min=0), metavar="SECONDS", help="Wait for another job on the collection."
)
_quiet = click.option("--quiet", is_flag=True, help="No progress.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@contextmanager
def _progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    with click.progressbar(length=1, label=what, file=sys.stderr, hidden=quiet) as bar:

        def tell(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield tell


@click.command("map")
@database_options
@_draw
@_seed
@click.option("--fresh", is_flag=True, help="Begin anew, and not from the last map.")
@_wait
@_quiet
@_json
@command_errors()
def map_(target: Target, out: Path | None, seed: int, fresh: bool, wait: float, quiet: bool, as_json: bool) -> None:
    """Lay all pictures out on a map, so that those that look alike lie together.

    Writes `_x` and `_y`, by which searches can filter. A second run keeps the last map: pictures stay where they are, those
    that came since find their places among them, and where nothing came nothing is changed. Pictures that an index job adds
    later are placed among their neighbours at once.
    """
    from semblant_indexer.analysis.collections import map_collection

    _check_drawing(out)
    with closing(target.database()) as db, _progress("map", quiet=quiet) as tell:
        found = map_collection(db, target.collection, seed=seed, fresh=fresh, wait=wait, on_progress=tell)
    if out is not None:
        import numpy as np
        from semblant_search.drawing.gallery import save_picture

        from semblant_indexer.analysis.figures import draw_map

        positions = np.stack([found.values["_x"], found.values["_y"]], axis=1)
        save_picture(draw_map(positions, found.uris, labels=found.clusters, names=found.names, shares=found.shares), out)
    if as_json:
        print_json(dataclasses.asdict(found.run))
        return
    told = f"{target.collection}: map {found.run.version} of {counted(found.run.pictures, 'picture')}"
    if found.unchanged:
        click.echo(f"{told} stays: no picture came since (--fresh makes another one)")
    else:
        click.echo(f"{told}, {found.run.results['placed']:,} of them placed")
    if out is not None:
        click.echo(f"drawn: {out}")


@click.command()
@database_options
@click.option(
    "--method",
    type=click.Choice(["kmeans", "hdbscan"]),
    default="kmeans",
    show_default=True,
    help="k-means on the vectors, or HDBSCAN on the map (`semblant map`), which leaves pictures out that lie alone.",
)
@click.option("-k", "--clusters", "k", type=int, metavar="K", help="How many.  [default: the elbow of 1 to 30]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Draw them, the elbow and silhouettes."
)
@_seed
@_wait
@_quiet
@_json
@command_errors()
def cluster(
    target: Target,
    method: Literal["kmeans", "hdbscan"],
    k: int | None,
    out: Path | None,
    seed: int,
    wait: float,
    quiet: bool,
    as_json: bool,
) -> None:
    """Sort all pictures into clusters of those that look alike, and name each by what its pictures have in common.

    Writes `_cluster`, 0 for the largest, and `_cluster_distance`; pictures that an index job adds later get theirs at once.
    """
    from semblant_indexer.analysis.collections import cluster_collection

    if out is not None:
        _make_folder(out)
    with closing(target.database()) as db, _progress("cluster", quiet=quiet) as tell:
        found = cluster_collection(db, target.collection, k=k, method=method, seed=seed, wait=wait, on_progress=tell)
    rows = found.run.results["clusters"]
    if out is not None and found.clustering is not None:
        _draw_clusters(rows, found.clustering, out)
    if as_json:
        print_json(dataclasses.asdict(found.run))
        return
    cells = [
        [
            str(row["cluster"]),
            f"{row['pictures']:,}",
            row["name"] or "",
            row["field"] or "",
            _percent(row["share"]),
            _percent(row["elsewhere"]),
        ]
        for row in rows
    ]
    if in_none := found.run.results["in_none"]:
        cells.append(["-1", f"{in_none:,}", "(in no cluster)", "", "", ""])
    print_rows(["cluster", "pictures", "name", "by", "share", "elsewhere"], cells, right=(0, 1, 4, 5))
    if lost := found.run.results["names_lost"]:
        click.echo(f"no cluster holds most of the pictures that had these names: {', '.join(lost)}", err=True)
    if out is not None:
        click.echo(f"drawn: {out}")


@click.command()
@database_options
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 100), metavar="N", help="Pictures to list.")
@_draw
@_wait
@_quiet
@_json
@command_errors()
def outliers(target: Target, count: int, out: Path | None, wait: float, quiet: bool, as_json: bool) -> None:
    """List the pictures that lie far from all others: strays, broken scans, what does not belong.

    Writes `_outlier`: the distance to the fifth neighbour beside what is usual, in standard deviations; above 3 for few.
    Pictures that an index job adds later get theirs at once, beside what was usual.
    """
    from semblant_indexer.analysis.collections import score_outliers

    _check_drawing(out)
    with closing(target.database()) as db, _progress("outliers", quiet=quiet) as tell:
        found = score_outliers(db, target.collection, wait=wait, on_progress=tell)
    farthest = found.run.results["farthest"][:count]
    if out is not None:
        from semblant_search.drawing.gallery import save_picture

        from semblant_indexer.analysis.figures import draw_outliers

        save_picture(draw_outliers([(each["uri"], each["score"]) for each in farthest]), out)
    if as_json:
        print_json({**dataclasses.asdict(found.run), "results": {**found.run.results, "farthest": farthest}})
        return
    print_rows(["score", "picture"], [[f"{each['score']:.1f}", each["uri"]] for each in farthest], right=(0,))
    if out is not None:
        click.echo(f"drawn: {out}")


def _draw_clusters(rows: Sequence[Mapping[str, Any]], clustering: Clustering, out: Path) -> None:
    """The files of `--out`; an elbow that an earlier run drew is none of this one's."""
    from semblant_search.drawing.gallery import save_picture

    from semblant_indexer.analysis.figures import draw_clusters, draw_elbow, draw_silhouettes

    save_picture(draw_clusters(rows), out / _CLUSTERS)
    draw_silhouettes(clustering, [row["name"] or "" for row in rows]).savefig(out / _SILHOUETTES)
    if len(clustering.inertias) > 1:
        draw_elbow(clustering).savefig(out / _ELBOW)
    else:
        (out / _ELBOW).unlink(missing_ok=True)


def _make_folder(out: Path) -> None:
    """Before what is drawn has taken minutes. Raises `InvalidInput`."""
    from semblant_search.drawing.gallery import check_drawing
    from semblant_search.errors import InvalidInput

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{str(out)!r}: the folder for drawings cannot be made: {error.strerror or error}") from error
    for name in (_CLUSTERS, _SILHOUETTES, _ELBOW):
        check_drawing(out / name)


def _check_drawing(out: Path | None) -> None:
    if out is not None:
        from semblant_search.drawing.gallery import check_drawing

        check_drawing(out)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
