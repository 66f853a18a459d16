"""Cursors of searches: text that asks for the next hits of the same question."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput
from semblant_search.shown import shown

if TYPE_CHECKING:
    from .access import Access
    from .models import SingleQuery

__all__ = ["cursor_of", "offset_of"]

_MOST = 2**31 - 1
_NOT_ASKED = {"cursor", "offset", "limit", "fields", "collection", "queries"}


def cursor_of(offset: int, query: SingleQuery, pictures: list[bytes], collection: str, access: Access) -> str:
    """The cursor of the hits from `offset` on."""
    text = json.dumps([_mark(query, pictures, collection, access), offset], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def offset_of(query: SingleQuery, pictures: list[bytes], collection: str, access: Access) -> int:
    """Where a query begins: at its cursor, or at its offset. Raises `InvalidInput`."""
    if query.cursor is None:
        return query.offset
    if "offset" in query.given:
        raise InvalidInput("cursor and offset: a cursor says already where to go on; leave the offset out")
    try:
        mark, offset = json.loads(base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4)))
        if isinstance(offset, bool) or not 0 <= offset <= _MOST:
            raise ValueError(offset)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"cursor {shown(query.cursor)}: expected the cursor of an answer as it was given", argument="cursor"
        ) from error
    if mark != _mark(query, pictures, collection, access):
        raise InvalidInput(
            f"cursor {shown(query.cursor)}: is of another search; begin again without a cursor", argument="cursor"
        )
    return int(offset)


def _mark(query: SingleQuery, pictures: list[bytes], collection: str, access: Access) -> str:
    """Short text that differs where a cursor does not belong to the question."""
    asked = query.model_dump_json(exclude=_NOT_ASKED, exclude_defaults=True)
    digest = hashlib.sha256(f"{collection}\0{access.where!r}\0{asked}".encode())
    for picture in pictures:
        digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()[:16]
