"""Folders of files that a source never looks into, and what it makes of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search import canonical_uri

if TYPE_CHECKING:
    from semblant_indexer.sources import Item, Source


def tree(root: Path, *names: str) -> Path:
    """Files that a source never looks into."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def names_of(source: Source, root: Path | str) -> list[str]:
    base = canonical_uri(root) if isinstance(root, Path) else root
    items = islice(source.items(), 100)  # a walk in circles fails, and does not hang
    return [item.uri.removeprefix(base + "/") for item in items]


def by_name(source: Source) -> dict[str, Item]:
    return {item.uri.rpartition("/")[2]: item for item in source.items()}
