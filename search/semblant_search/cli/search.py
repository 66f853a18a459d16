"""`semblant search`: find the pictures that look like one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .group import command_errors
from .options import Target, database_options, where_option
from .output import print_hits, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.client import SearchClient
    from semblant_search.images import ImageSource
    from semblant_search.results import Hit

__all__ = ["search"]


@click.command()
@click.argument("picture", metavar="PICTURE")
@database_options
@click.option("-k", "--limit", default=10, show_default=True, help="Hits at most.")
@click.option("--offset", default=0, help="Hits to skip.")
@where_option
@click.option("--features", is_flag=True, help="Search by details (ORB features) instead of the whole look.")
@click.option("--min-score", type=float, help="Leave out hits with a lower cosine.")
@click.option("--exact", is_flag=True, help="Compare with every picture instead of walking the index.")
@click.option("--include-self", is_flag=True, help="Keep PICTURE among the hits where it is one of the collection.")
@click.option("--encoder", metavar="FILE", help="The encoder.onnx of the collection, where the database does not keep it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--gallery", metavar="FILE", help="Draw PICTURE and the hits into this file, such as out.png.")
@command_errors()
def search(
    picture: str, target: Target, encoder: str | None, features: bool, as_json: bool, gallery: str | None, **options: Any
) -> None:
    """Find the pictures that look like one.

    PICTURE is a file, `-` for a picture on standard input, or the URI of an indexed picture.
    """
    if features and (options["exact"] or options["min_score"] is not None):
        raise click.UsageError("--exact and --min-score are for searches by the whole look, not for --features")
    source: ImageSource = sys.stdin.buffer.read() if picture == "-" else picture
    with target.client(encoder) as client:
        hits = _ask(client, source, features, options)
        if as_json:
            print_json({"query": _describe(picture, target, features, options), "hits": [hit.to_json() for hit in hits]})
        else:
            print_hits(hits)
        if gallery is not None:
            _draw(gallery, source, hits, options["where"], features, total=client.count())


def _ask(client: SearchClient, source: ImageSource, features: bool, options: dict[str, Any]) -> Sequence[Hit]:
    if features:
        common = {name: options[name] for name in ("limit", "offset", "where", "include_self")}
        return client.search_features(source, **common)
    return client.search(source, **options)


def _describe(picture: str, target: Target, features: bool, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "picture": picture,
        "collection": target.collection,
        "by": "features" if features else "look",
        "limit": options["limit"],
        "offset": options["offset"],
        "where": options["where"],
    }


def _draw(file: str, source: ImageSource, hits: Sequence[Hit], where: str | None, features: bool, total: int) -> None:
    from semblant_search.gallery import draw_gallery, save_picture

    what = "share the most details with it" if features else "look most like it"
    name = "" if isinstance(source, bytes) else f"{Path(str(source)).name}: "
    title = f"{name}the {len(hits)} of {total:,} pictures that {what}"
    save_picture(draw_gallery(hits, query=source, title=title, subtitle=f"where {where}" if where else ""), file)
    click.echo(f"gallery: {file}", err=True)
