"""A small copy of a picture of a collection, of its file or of what is kept of one that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.collection import ADDED, SOURCES_FIELD
from semblant_search.errors import ImageError
from semblant_search.images.small import webp_thumbnail
from semblant_search.orb import unpack_thumbnail
from semblant_search.shown import shown_name

from .resolving import indexed_bytes

if TYPE_CHECKING:
    import numpy as np

    from semblant_search.results import Picture
    from semblant_search.store import Store

__all__ = ["preview_of"]


def preview_of(store: Store, picture: Picture, side: int, max_pixels: int) -> bytes:
    """A WebP of `side` pixels at most.

    A picture that only a program added may have no file; the grey thumbnail that is kept beside its details stands for it then.

    Raises `ImageError` where neither is at hand.
    """
    for record in store.retrieve([picture.id], with_features=True):
        source: bytes | np.ndarray | None = indexed_bytes(record, max_pixels)
        if source is None and record.features is not None and set(record.payload.get(SOURCES_FIELD, ())) == {ADDED}:
            source = unpack_thumbnail(record.features)
        if source is not None:
            return webp_thumbnail(source, side, max_pixels)
    raise ImageError(f"{shown_name(picture.uri)}: its file is not at hand as it was indexed", reason="missing")
