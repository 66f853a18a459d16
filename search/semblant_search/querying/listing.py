"""What a collection holds, by page: a cursor is text that a service can hand out, and that says where to go on."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput
from semblant_search.item_errors import ITEM_ERRORS, in_place
from semblant_search.results import Picture, PicturePage, split_payload
from semblant_search.shown import shown
from semblant_search.store import OrderBy, Position
from semblant_search.where import as_where

from .naming import by_other_names
from .requests import check_field, check_limit, check_switches
from .resolving import id_of, name_as_uri

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from semblant_search.serving import Generation
    from semblant_search.store import Record, Store
    from semblant_search.where import Where

__all__ = ["Listing", "listing_of", "page_of", "pictures_by_name", "pictures_of"]

_AT_ONCE = 500
"""Records in one request to the store: with their vectors, some megabytes."""


@dataclass(frozen=True)
class Listing:
    """Which pictures, in which order, and whether with their vectors."""

    where: Where | None
    order_by: OrderBy | None
    with_vectors: bool

    def fingerprint(self, collection: str, encoder: str) -> str:
        """Short text that differs where a cursor of one does not belong to the other."""
        made_with = encoder if self.with_vectors else ""
        order = None if self.order_by is None else (self.order_by.field, self.order_by.descending)
        return hashlib.sha256(repr((collection, self.where, order, made_with)).encode()).hexdigest()[:16]


def listing_of(where: str | Where | None, order_by: str | None, descending: bool, with_vectors: bool) -> Listing:
    """Checked arguments. Raises `InvalidInput`; what a field has no order is said by the store."""
    check_switches(descending=descending, with_vectors=with_vectors)
    if order_by is None and descending:
        raise InvalidInput("descending: by which field? Give order_by; without it pictures come in the order of their ids")
    if order_by is not None:
        check_field("order_by", order_by)
    return Listing(as_where(where), None if order_by is None else OrderBy(order_by, bool(descending)), with_vectors)


def page_of(generation: Generation, listing: Listing, limit: int, cursor: str | None) -> PicturePage:
    """One page, from a cursor on or from the beginning."""
    manifest = generation.manifest
    mark = listing.fingerprint(manifest.collection, manifest.encoder_fingerprint)
    start = None if cursor is None else _position(cursor, mark, ordered=listing.order_by is not None)
    records, following = generation.store.scroll_page(
        check_limit(limit), start, where=listing.where, with_image=listing.with_vectors, order_by=listing.order_by
    )
    return PicturePage([_picture(record) for record in records], None if following is None else _cursor(following, mark))


def pictures_of(store: Store, listing: Listing) -> Iterator[Picture]:
    """All pictures of a listing, read as they are asked for. Bad arguments raise here."""
    records = store.scroll(where=listing.where, with_image=listing.with_vectors, order_by=listing.order_by, batch=_AT_ONCE)
    return map(_picture, records)


def pictures_by_name(store: Store, names: Iterable[str | os.PathLike[str]], *, with_vectors: bool) -> list[Picture | None]:
    """The pictures of those point ids, URIs or paths, in their order; None for those that are not there."""
    given = list(names)
    ids = [_id_in_place(number, name) for number, name in enumerate(given)]
    distinct = iter(dict.fromkeys(ids))
    found: dict[str, Picture] = {}
    while part := list(islice(distinct, _AT_ONCE)):
        found |= {record.id: _picture(record) for record in store.retrieve(part, with_image=with_vectors)}
    missing = {id: name_as_uri(name) for id, name in zip(ids, given, strict=True) if id not in found and name != id}
    if missing:
        others = by_other_names(store, list(missing.values()), with_image=with_vectors)
        found |= {id: _picture(others[uri]) for id, uri in missing.items() if uri in others}
    return [found.get(id) for id in ids]


def _id_in_place(number: int, name: str | os.PathLike[str]) -> str:
    try:
        return id_of(name)
    except ITEM_ERRORS as error:
        raise in_place(error, number) from error


def _picture(record: Record) -> Picture:
    uri, metadata, facts = split_payload(record.payload)
    return Picture(record.id, uri, metadata, facts, vector=record.image)


def _cursor(position: Position, mark: str) -> str:
    values: Sequence[object] = [mark, position.id, position.value]
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _position(cursor: str, mark: str, *, ordered: bool) -> Position:
    try:
        given, id, value = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = Position(str(uuid.UUID(id)), value)
        if value is not None and (isinstance(value, bool) or not -(2**63) <= value < 2**63):
            raise ValueError(value)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(
            f"cursor {shown(cursor)}: expected the cursor of a page as it was given, or None", argument="cursor"
        ) from error
    if given != mark or ordered != (value is not None):
        raise InvalidInput(
            f"cursor {shown(cursor)}: is of a page with another filter, order or collection, or with vectors of another "
            "encoder; begin again without a cursor",
            argument="cursor",
        )
    return position
