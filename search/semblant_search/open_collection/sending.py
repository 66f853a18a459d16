"""From what a client is given to what a service takes: names and bytes of pictures, vectors, and options."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from semblant_search.collection import picture_place
from semblant_search.errors import ImageError
from semblant_search.frame_names import frame_bytes
from semblant_search.images.sources import bytes_of
from semblant_search.item_errors import ITEM_ERRORS, in_place
from semblant_search.querying.requests import SCORE_TOLERANCE, check_vector
from semblant_search.querying.resolving import id_of, not_found
from semblant_search.shown import shown_error, shown_name
from semblant_search.where import And, F, Not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.collection import Manifest
    from semblant_search.images import ImageSource
    from semblant_search.querying.examples import Given
    from semblant_search.querying.regions import Region
    from semblant_search.querying.selection import Selection
    from semblant_search.store import SearchRequest
    from semblant_search.where import Where

    from .http import ServiceConnection
    from .searches import RemoteSearches

__all__ = [
    "PictureQuery",
    "PictureSender",
    "region_values",
    "request_values",
    "selection_values",
    "vector_values",
    "where_text",
]


_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
"""Of Pillow, which a PNG holds as they are."""


class PictureQuery(NamedTuple):
    """What is looked for: the id of a picture of the collection, or one to send; and of which picture hits are none."""

    id: str | None = None
    data: bytes | None = None
    left_out: str | None = None


class PictureSender:
    """Finds out which pictures the service has already, and makes files of those that it has not.

    Args:
        collection: on the service.
        service: where it is.
        name: of the collection.
        max_pixels: of a picture that is sent.
    """

    def __init__(self, collection: RemoteSearches, service: ServiceConnection, name: str, max_pixels: int) -> None:
        self._collection = collection
        self._service = service
        self._name = name
        self._max_pixels = max_pixels

    def resolve(self, picture: ImageSource) -> PictureQuery:
        """As `querying.resolving.resolve` does: names of the collection stand for what was indexed, other pictures are sent."""
        if not isinstance(picture, (str, os.PathLike)):
            return PictureQuery(data=self.bytes_of(picture))
        id = id_of(picture)
        found = self._collection.get_many([picture], with_vectors=False)[0]
        id = id if found is None else found.id
        is_uri = isinstance(picture, str) and "://" in picture
        if found is not None and (is_uri or id == picture):
            return PictureQuery(id)
        place = picture_place(str(picture)) if is_uri else None if id == picture else (Path(picture), None)
        file, fragment = place or (None, None)
        exists = file is not None and os.path.exists(file)  # noqa: PTH110 - Path's raises for names that no file system takes
        if found is not None and not exists:
            return PictureQuery(id)
        if file is not None and exists:
            data = frame_bytes(bytes_of(file, self._max_pixels), fragment)
            if found is not None and hashlib.sha256(data).hexdigest() == found.facts.get("_sha256"):
                return PictureQuery(id)
            return PictureQuery(data=data, left_out=None if found is None else found.uri)
        if is_uri or id == picture:
            raise not_found(self._name, picture)
        raise ImageError(
            f"{shown_name(picture)}: no such file, and collection {self._name!r} has no picture of that path", reason="missing"
        )

    def examples(self, given: Sequence[Given]) -> list[dict[str, Any]]:
        """Each as a service takes it: the id of a picture of the collection, or a vector."""
        told: list[dict[str, Any]] = []
        for one in given:
            try:
                told.append({**self._example(one.what), "weight": one.weight})
            except ITEM_ERRORS as error:
                raise in_place(error, one.place, one.among) from error
        return told

    def _example(self, what: Any) -> dict[str, Any]:
        if (isinstance(what, np.ndarray) and what.ndim == 1) or isinstance(what, (list, tuple)):
            return {"vector": vector_values(what, self._collection.manifest())}
        query = self.resolve(what)
        if query.data is None:
            return {"id": query.id}
        (row,) = self._service.upload("/embed", [query.data], [("collection", self._name)])["embeddings"]
        return {"vector": row}

    def bytes_of(self, picture: ImageSource) -> bytes:
        """The bytes of a picture file; of pixels those of one that holds them as they are."""
        from PIL import Image

        from semblant_search.images import open_image

        if not isinstance(picture, (np.ndarray, Image.Image)):
            return bytes_of(cast("bytes", picture), self._max_pixels)
        if isinstance(picture, np.ndarray) or picture.mode not in _PNG_MODES:  # as a client of a database sees it
            picture = open_image(picture, max_pixels=self._max_pixels)
        file = io.BytesIO()
        try:
            picture.save(file, "PNG")
        except Exception as error:  # what Pillow's plugins raise has no common base
            raise ImageError(f"picture cannot be sent to a service: {shown_error(error)}", reason="unsupported") from error
        return file.getvalue()


def request_values(request: SearchRequest, query: PictureQuery, *, include_self: bool) -> dict[str, Any]:
    """The options of a request but for its pages."""
    where = request.where
    if query.left_out is not None and not include_self:
        other = Not(F("_uri") == query.left_out)
        where = other if where is None else And((where, other))
    told: dict[str, Any] = {}
    if where is not None:
        told["where"] = str(where)
    if request.exact:
        told["exact"] = True
    if request.score_threshold is not None:
        told["min_score"] = max(-1.0, min(1.0, request.score_threshold + SCORE_TOLERANCE))
    return told


def selection_values(selection: Selection) -> dict[str, Any]:
    """How hits are chosen, as options; what is as usual is left out."""
    order = selection.order_by
    told = {
        "diversity": selection.diversity,
        "unique": selection.unique or None,
        "order_by": None if order is None else order.field,
        "descending": (order is not None and order.descending) or None,
        "fpr": selection.fpr,
        "within_cluster": selection.within_cluster or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def region_values(region: Region | None) -> dict[str, Any]:
    """The part that is looked for, as an option: `region`, or a mask as a picture file in `mask`."""
    if region is None:
        return {}
    if isinstance(region, np.ndarray) and region.ndim == 2:
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(region.astype(bool).astype(np.uint8) * 255).save(file, "PNG")
        return {"mask": base64.b64encode(file.getvalue()).decode()}
    return {"region": [float(value) for value in region]}


def vector_values(vector: Any, manifest: Manifest) -> list[float]:
    """The numbers of a vector `[D]`. Raises `InvalidInput` as `check_vector`."""
    return [float(value) for value in check_vector(vector, manifest)]


def where_text(where: Where | None) -> str | None:
    """The expression of a filter."""
    return None if where is None else str(where)
