"""`semblant map`, `semblant cluster` and `semblant outliers`."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from semblant_search.cli import command_errors
from semblant_search.cli.options import database_options
from semblant_search.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search.cli.options import Target

__all__ = ["cluster", "map_", "outliers"]

_draw = click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Draw it, as PNG.")
_seed = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    help="Of what is drawn: the same pictures give the same result.",
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
@_quiet
@_json
@command_errors()
def map_(target: Target, out: Path | None, seed: int, fresh: bool, quiet: bool, as_json: bool) -> None:
    """Lay all pictures out on a map, so that those that look alike lie together.

    Writes `_x` and `_y`, by which searches can filter. A second run starts from the last map, which stays where it is as well
    as it can; pictures that an index job adds later are placed among their neighbours at once.
    """
    from semblant_indexer.analysis.collections import map_collection

    with closing(target.database()) as db, _progress("map", quiet=quiet) as tell:
        found = map_collection(db, target.collection, seed=seed, fresh=fresh, on_progress=tell)
    if out is not None:
        import numpy as np
        from semblant_search.drawing.gallery import save_picture

        from semblant_indexer.analysis.figures import draw_map

        coloured = all("_cluster" in payload for payload in found.payloads)
        labels = np.array([payload["_cluster"] for payload in found.payloads]) if coloured else None
        positions = np.stack([found.values["_x"], found.values["_y"]], axis=1)
        save_picture(draw_map(positions, found.uris, labels=labels, names=found.names), out)
    if as_json:
        print_json(dataclasses.asdict(found.run))
        return
    placed = found.run.results["placed"]
    click.echo(f"{target.collection}: map {found.run.version} of {found.run.pictures:,} pictures, {placed:,} of them placed")
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
@_quiet
@_json
@command_errors()
def cluster(
    target: Target,
    method: Literal["kmeans", "hdbscan"],
    k: int | None,
    out: Path | None,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Sort all pictures into clusters of those that look alike, and name each by what its pictures have in common.

    Writes `_cluster`, 0 for the largest, and `_cluster_distance`; pictures that an index job adds later get theirs at once.
    """
    from semblant_indexer.analysis.collections import cluster_collection

    with closing(target.database()) as db, _progress("cluster", quiet=quiet) as tell:
        found = cluster_collection(db, target.collection, k=k, method=method, seed=seed, on_progress=tell)
    rows = found.run.results["clusters"]
    if out is not None and found.clustering is not None:
        from semblant_search.drawing.gallery import save_picture

        from semblant_indexer.analysis.figures import draw_elbow, draw_rows, draw_silhouettes

        out.mkdir(parents=True, exist_ok=True)
        titles = [
            (f"{row['cluster']}  {row['name'] or ''}", f"{row['pictures']:,} pictures", row["representatives"]) for row in rows
        ]
        save_picture(draw_rows(titles), out / "clusters.png")
        draw_silhouettes(found.clustering).savefig(out / "silhouettes.png")
        if len(found.clustering.inertias) > 1:
            draw_elbow(found.clustering).savefig(out / "elbow.png")
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
    print_rows(["cluster", "pictures", "name", "by", "share", "elsewhere"], cells, right=(0, 1, 4, 5))
    if lost := found.run.results["names_lost"]:
        click.echo(f"no cluster holds most of the pictures that had these names: {', '.join(lost)}", err=True)
    if out is not None:
        click.echo(f"drawn: {out}")


@click.command()
@database_options
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 100), metavar="N", help="Pictures to list.")
@_draw
@_json
@command_errors()
def outliers(target: Target, count: int, out: Path | None, as_json: bool) -> None:
    """List the pictures that lie far from all others: strays, broken scans, what does not belong.

    Writes `_outlier`: the distance to the fifth neighbour beside what is usual, in standard deviations; above 3 for few.
    """
    from semblant_indexer.analysis.collections import score_outliers

    with closing(target.database()) as db:
        found = score_outliers(db, target.collection)
    farthest = found.run.results["farthest"][:count]
    if out is not None:
        from semblant_search.drawing.gallery import save_picture

        from semblant_indexer.analysis.figures import draw_rows

        rows = [
            ("Outliers" if not at else "", "", [each["uri"] for each in farthest[at : at + 8]])
            for at in range(0, len(farthest), 8)
        ]
        save_picture(draw_rows(rows), out)
    if as_json:
        print_json({**dataclasses.asdict(found.run), "results": {**found.run.results, "farthest": farthest}})
        return
    print_rows(["score", "picture"], [[f"{each['score']:.1f}", each["uri"]] for each in farthest], right=(0,))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
