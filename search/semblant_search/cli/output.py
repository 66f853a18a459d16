"""Results on stdout: a table for people, tab-separated lines for pipes, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from semblant_search.results import Hit, HitGroup, Picture

__all__ = ["place_of", "print_groups", "print_hits", "print_json", "print_rows", "text_of"]

_COLUMNS = 5
"""Metadata columns that a table shows at most; `--json` has all."""


def print_json(document: Any) -> None:
    """One JSON document, ASCII only, so that every terminal and locale carries it."""
    click.echo(json.dumps(document, indent=2))


def print_hits(hits: Sequence[Hit]) -> None:
    """Rank, score, place and metadata of each hit, and the proof where there is one."""
    names = _common_names(hits)
    if not sys.stdout.isatty():
        for hit in hits:
            extra = [f"{name}={text_of(value)}" for name, value in {**_proof(hit), **hit.metadata}.items()]
            click.echo("\t".join([f"{hit.score:.6f}", place_of(hit), *extra]))
        return
    proof = list(_proof(hits[0])) if hits else []
    rows = []
    for rank, hit in enumerate(hits, start=1):
        cells = [*_proof(hit).values(), *(hit.metadata.get(name, "") for name in names)]
        rows.append([str(rank), f"{hit.score:.4f}", _short(place_of(hit)), *map(text_of, cells)])
    print_rows(["", "score", "picture", *proof, *names], rows, right=(0, 1))


def print_groups(groups: Sequence[HitGroup]) -> None:
    """The hits of each group under its value; for pipes the value before each hit."""
    if not sys.stdout.isatty():
        for group in groups:
            for hit in group.hits:
                click.echo("\t".join([text_of(group.value), f"{hit.score:.6f}", place_of(hit)]))
        return
    for group in groups:
        click.echo(text_of(group.value))
        print_hits(group.hits)


def _proof(hit: Hit) -> dict[str, Any]:
    """What speaks for the hit beside its score."""
    from semblant_search.results import FeatureHit

    if not isinstance(hit, FeatureHit):
        found = {} if hit.probability is None else {"probability": round(hit.probability, 4)}
        return found if hit.copies is None else {**found, "copies": hit.copies}
    return {"verdict": hit.verdict, "probability": round(hit.probability, 4), "inliers": hit.inliers}


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A table for people; for pipes the rows alone, tab-separated."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(Text(name), justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def place_of(picture: Picture) -> str:
    """The path of a local picture, or its URI where it is not local or its name would break a line."""
    path = picture.path
    return str(path) if path is not None and str(path).isprintable() else picture.uri


def text_of(value: Any) -> str:
    """A metadata value on one line."""
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=True)


def _short(place: str) -> str:
    """A path as seen from here, where it lies below."""
    here = f"{Path.cwd()}{os.sep}"
    return place.removeprefix(here)


def _common_names(hits: Sequence[Hit]) -> list[str]:
    """The metadata fields that most hits have, `label` first."""
    counts: dict[str, int] = {}
    for hit in hits:
        for name in hit.metadata:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (name != "label", -counts[name]))[:_COLUMNS]
