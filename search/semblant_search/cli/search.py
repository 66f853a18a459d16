"""`semblant search`: find the pictures that look like one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from semblant_search.errors import NoFeaturesError

from .group import command_errors
from .options import Target, database_options, where_option
from .output import print_groups, print_hits, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.client import SearchClient
    from semblant_search.images import ImageSource
    from semblant_search.results import Hit, HitGroup

__all__ = ["search"]

_EXPLORING = ("like", "unlike", "diversity", "unique", "group_by")
"""Options for searches by the whole look."""


@click.command()
@click.argument("picture", metavar="PICTURE")
@database_options
@click.option("-k", "--limit", default=10, show_default=True, help="Hits at most.")
@click.option("--offset", default=0, help="Hits to skip.")
@where_option
@click.option("--features", is_flag=True, help="Find pictures that contain PICTURE, or a part of it, by its details (ORB).")
@click.option("--fused", is_flag=True, help="Search by look and by details at once; what is proven comes first.")
@click.option(
    "--region",
    metavar="X,Y,W,H",
    help="The part of PICTURE to look for, in pixels; by its look (--features: by its details).",
)
@click.option(
    "--min-confidence", type=float, help="With --features: least probability of a hit, 0 to 1; 0 shows all candidates."
)
@click.option(
    "--shared-parts",
    is_flag=True,
    help="With --features or --fused: also pictures that have only a part in common with PICTURE: a place, an object, a logo.",
)
@click.option("--show", metavar="FILE", help="With --features: draw what agrees in the best hits into this file.")
@click.option("--min-score", type=float, help="Leave out hits with a lower cosine.")
@click.option(
    "--fpr",
    type=float,
    metavar="SHARE",
    help="Leave out hits that are likely chance: of pictures without their like here, this share gets a hit, such as 0.001.",
)
@click.option("--exact", is_flag=True, help="Compare with every picture instead of walking the index.")
@click.option("--include-self", is_flag=True, help="Keep PICTURE among the hits where it is one of the collection.")
@click.option("--like", multiple=True, metavar="PICTURE", help="Another example of what to find; may be given many times.")
@click.option("--unlike", multiple=True, metavar="PICTURE", help="An example of what not to find; may be given many times.")
@click.option("--diversity", type=float, help="How much hits shall differ among each other, 0 to 1; 0.3 is a good beginning.")
@click.option("--unique", is_flag=True, help="One hit for each group of copies; the others are counted.")
@click.option(
    "--within-cluster",
    type=click.IntRange(min=1),
    metavar="N",
    help="Compare only within the N clusters nearest to PICTURE (`semblant cluster` makes them); 1 to 3 are usual.",
)
@click.option("--group-by", metavar="FIELD", help="The best hits for each value of a field, such as an album; -k of values.")
@click.option("--encoder", metavar="FILE", help="The encoder.onnx of the collection, where the database does not keep it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--gallery", metavar="FILE", help="Draw PICTURE and the hits into this file, such as out.png.")
@command_errors()
def search(picture: str, target: Target, encoder: str | None, **options: Any) -> None:
    """Find the pictures that look like one.

    PICTURE is a file, `-` for a picture on standard input, or the URI of an indexed picture.
    """
    by = _mode(options)
    source: ImageSource = sys.stdin.buffer.read() if picture == "-" else picture
    with target.client(encoder) as client:
        groups = _ask_groups(client, source, options) if by == "groups" else None
        hits = _ask(client, source, by, options) if groups is None else [hit for group in groups for hit in group.hits]
        if options["as_json"]:
            asked = {"picture": picture, "collection": target.collection, "by": by}
            asked |= {name: options[name] for name in ("limit", "offset", "where", "region") if options[name] is not None}
            asked |= {name: options[name] for name in _EXPLORING if options[name] not in (None, False, ())}
            found = {"hits": hits} if groups is None else {"groups": groups}
            print_json({"query": asked, **{name: [one.to_json() for one in some] for name, some in found.items()}})
        elif groups is None:
            print_hits(hits)
        else:
            print_groups(groups)
        if by == "features" and not hits:
            click.echo("no picture is proven to contain it; --min-confidence 0 shows the nearest candidates", err=True)
        if options["fpr"] is not None and not hits:
            click.echo("nothing like it here; without --fpr, the nearest pictures are shown all the same", err=True)
        if options["gallery"] is not None:
            _draw_gallery(client, source, hits, by, options)
        if options["show"] is not None:
            _draw_matches(client, source, hits, options)


def _mode(options: dict[str, Any]) -> str:
    """What to search by; options that do not go together are wrong usage."""
    if options["features"] and options["fused"]:
        raise click.UsageError("--features and --fused are two ways to search; give one of them")
    exploring = [f"--{name.replace('_', '-')}" for name in _EXPLORING if options[name] not in (None, False, ())]
    if exploring and (options["features"] or options["fused"]):
        raise click.UsageError(f"{exploring[0]} is for searches by the whole look, not for --features and --fused")
    if options["group_by"] is not None and len(exploring) > 1:
        raise click.UsageError(f"--group-by goes without {exploring[0]}")
    examples = bool(options["like"] or options["unlike"])
    if options["region"] is not None and (examples or options["group_by"] is not None):
        raise click.UsageError("--region is of one picture; it goes without --like, --unlike and --group-by")
    if options["fpr"] is not None and examples:
        raise click.UsageError("--fpr is of one picture; it goes without --like and --unlike")
    if options["features"] and (options["exact"] or options["min_score"] is not None):
        raise click.UsageError("--exact and --min-score are for searches by the whole look, not for --features")
    if options["fpr"] is not None and (options["features"] or options["fused"] or options["region"] is not None):
        raise click.UsageError("--fpr is for searches by the look of a whole picture; --features has --min-confidence")
    if options["within_cluster"] is not None and (
        options["features"] or options["fused"] or examples or options["group_by"] is not None or options["region"] is not None
    ):
        raise click.UsageError("--within-cluster is for searches by the look of a whole picture")
    if options["fused"] and options["region"] is not None:
        raise click.UsageError("--region goes with --features, or with a search by look, not with --fused")
    for name in ("min_confidence", "show"):
        if options[name] is not None and not options["features"]:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --features")
    if options["shared_parts"] and not (options["features"] or options["fused"]):
        raise click.UsageError("--shared-parts goes with --features or --fused")
    if options["group_by"] is not None:
        return "groups"
    return "features" if options["features"] else "fused" if options["fused"] else "examples" if examples else "look"


def _ask(client: SearchClient, source: ImageSource, by: str, options: dict[str, Any]) -> Sequence[Hit]:
    common = {name: options[name] for name in ("limit", "offset", "where", "include_self")}
    details = {**common, "shared_parts": options["shared_parts"]}
    look = {**common, "min_score": options["min_score"], "exact": options["exact"]}
    region = _region(options["region"])
    if by == "features":
        try:
            return client.search_features(source, region=region, min_confidence=options["min_confidence"], **details)
        except NoFeaturesError as error:
            raise NoFeaturesError(f"{error}, without --features") from error
    if by == "fused":
        return client.search_fused(source, **{**look, **details})
    look |= {"diversity": options["diversity"], "unique": options["unique"]}
    if by == "examples":
        return client.search_like([source, *options["like"]], list(options["unlike"]), **look)
    within = options["within_cluster"] or False
    return client.search(source, region=region, fpr=options["fpr"], within_cluster=within, **look)


def _ask_groups(client: SearchClient, source: ImageSource, options: dict[str, Any]) -> Sequence[HitGroup]:
    look = {name: options[name] for name in ("limit", "offset", "where", "include_self", "min_score", "fpr", "exact")}
    return client.search_groups(source, options["group_by"], **look)


def _region(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        x, y, width, height = (float(value) for value in text.split(","))
    except ValueError:
        raise click.UsageError(f"--region {text!r}: expected four numbers, such as 10,10,80,80") from None
    return x, y, width, height


def _picture_of(client: SearchClient, source: ImageSource) -> ImageSource:
    """What can be drawn: for the id of an indexed picture, its place."""
    if isinstance(source, str) and "://" not in source and not Path(source).exists():
        return client.get(source).uri
    return source


def _draw_gallery(client: SearchClient, source: ImageSource, hits: Sequence[Hit], by: str, options: dict[str, Any]) -> None:
    from semblant_search.drawing import draw_gallery, name_of, save_picture

    what = {
        "look": "look most like it",
        "groups": f"look most like it, by {options['group_by']}",
        "examples": "look like the examples",
        "features": "share its details",
        "fused": "contain it or look like it",
    }[by]
    query = _picture_of(client, source)
    name = f"{name_of(query)}: " if name_of(query) else ""
    title = f"{name}{len(hits)} of {client.count():,} pictures that {what}"
    where = f"where {options['where']}" if options["where"] else ""
    save_picture(draw_gallery(hits, query=query, title=title, subtitle=where), options["gallery"])
    click.echo(f"gallery: {options['gallery']}", err=True)


def _draw_matches(client: SearchClient, source: ImageSource, hits: Any, options: dict[str, Any]) -> None:
    from semblant_search.collection import uri_path
    from semblant_search.drawing import draw_matches, save_picture

    query = _picture_of(client, source)
    if isinstance(query, str) and "://" in query:
        query = uri_path(query) or query
    save_picture(draw_matches(query, hits, region=_region(options["region"])), options["show"])
    click.echo(f"matches: {options['show']}", err=True)
