"""Collections as a Semblant before sources left them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from semblant_search.sources import IDENTITY_ASSET, is_source_asset
from semblant_search.store import open_database

if TYPE_CHECKING:
    from pathlib import Path


def forget_sources(db: Path, *, identity: bool = False) -> None:
    """Take the sources out of a database's points and files; `identity`: what names the collection, too."""
    with closing(open_database(db)) as database, closing(database.open("images")) as store:
        everything = list(store.scroll())
        store.set_payloads({one.id: {k: v for k, v in one.payload.items() if k != "_sources"} for one in everything})
        for name in store.assets():
            if is_source_asset(name) or (identity and name == IDENTITY_ASSET):
                store.drop_asset(name)
