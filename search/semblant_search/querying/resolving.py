"""What a picture given by a user is: one of the collection, whose vectors are there already, or pixels to be decoded."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from semblant_search.collection import canonical_uri, picture_place, point_id
from semblant_search.errors import ImageError, InvalidInput, PointNotFound
from semblant_search.file_access import file_rule
from semblant_search.frame_names import frame_bytes
from semblant_search.images import fit_image, most_bytes, open_picture, picture_source, read_bytes, read_file
from semblant_search.shown import shown, shown_name
from semblant_search.store.query_checks import no_cells

from .naming import by_other_names
from .regions import cells_in

if TYPE_CHECKING:
    from semblant_search.collection import Manifest
    from semblant_search.images import ImageSource
    from semblant_search.lazy_encoder import LazyEncoder
    from semblant_search.store import Record, ScoredRecord, Store

    from .regions import Region

__all__ = ["ResolvedQuery", "cells_of", "check_cells", "check_name", "id_of", "indexed_bytes", "not_found", "resolve"]


class ResolvedQuery(NamedTuple):
    """A queried picture: `record` where it is one of the collection, else `source` must be decoded.

    `id` is the point id of the picture's name, None for pixels without a name.
    """

    id: str | None
    record: Record | None
    source: ImageSource


def resolve(
    store: Store,
    picture: ImageSource,
    *,
    with_image: bool = False,
    with_features: bool = False,
    with_cells: bool = False,
) -> ResolvedQuery:
    """Find out whether the picture is one of the collection.

    A URI or point id of the collection stands for what was indexed. So does a path, unless the file has other bytes by now.

    Raises:
        PointNotFound: a URI or id that is neither in the collection nor a local file.
        ImageError: a path that is neither.
    """
    if not isinstance(picture, (str, os.PathLike)):
        return ResolvedQuery(None, None, picture)
    key = id_of(picture)
    records = store.retrieve([key], with_image=with_image, with_features=with_features, with_cells=with_cells)
    is_uri = isinstance(picture, str) and "://" in picture
    if not records and key != picture:
        uri = name_as_uri(picture)
        others = by_other_names(store, [uri], with_image=with_image, with_features=with_features, with_cells=with_cells)
        records = list(others.values())
        key = records[0].id if records else key
    if records and (is_uri or key == picture or _is_unchanged(Path(picture), records[0])):
        return ResolvedQuery(key, records[0], picture)
    # What has the form of an id is never a path: a service passes on what strangers give as ids.
    place = picture_place(str(picture)) if is_uri else None if key == picture else (Path(picture), None)
    if place is not None and os.path.exists(place[0]):  # noqa: PTH110 - Path's raises for names that no file system takes
        return ResolvedQuery(key, None, picture_source(place))
    if is_uri or key == picture:
        raise not_found(store.manifest.collection, picture)
    raise ImageError(
        f"{shown_name(picture)}: no such file, and collection {store.manifest.collection!r} has no picture of that path",
        reason="missing",
    )


def check_cells(manifest: Manifest) -> None:
    """Raise `InvalidInput` unless a region of a picture can be looked for."""
    if manifest.encoder.cells is None:
        raise InvalidInput(no_cells(manifest))


def cells_of(manifest: Manifest, encoder: LazyEncoder, query: ResolvedQuery, region: Region, max_pixels: int) -> np.ndarray:
    """The local vectors of a region of a queried picture, float32 `[R, d]`: stored ones where it is one of the collection.

    The region is in pixels of the picture that was indexed, whatever its file shows by now.

    Raises:
        InvalidInput: the collection's encoder has no cells; or see `regions.cells_in`.
        ImageError: the picture cannot be decoded; or it was indexed without cells, and its file has changed or is gone.
        EncoderError: the collection's encoder is needed, and not at hand.
    """
    check_cells(manifest)
    shape, fit = manifest.encoder.cells, manifest.encoder.fit
    assert shape is not None
    source = query.source
    if query.record is not None:
        facts = query.record.payload
        if query.record.cells is not None:
            chosen = cells_in(region, (int(facts["_width"]), int(facts["_height"])), fit, shape[0])
            return np.asarray(query.record.cells[chosen])
        indexed = indexed_bytes(query.record, max_pixels)
        if indexed is None:
            raise ImageError(
                f"{shown_name(facts['_uri'])}: it was indexed without cells, and its file is not at hand as it was then; "
                "index it again, or give the picture by its path or its bytes",
                reason="missing",
            )
        source = indexed
    opened = open_picture(source, max_pixels=max_pixels, at_least=(fit.height, fit.width))
    chosen = cells_in(region, (opened.width, opened.height), fit, shape[0])
    _, cells = encoder.load().encode_with_cells(fit_image(opened.image, fit)[None])
    return np.asarray(cells[0, chosen])


def indexed_bytes(record: Record | ScoredRecord, max_pixels: int) -> bytes | None:
    """The bytes of a picture's file where they are still those that were indexed; None where they are not at hand."""
    place = picture_place(str(record.payload["_uri"]))
    if place is None or not file_rule()(place[0]):
        return None
    try:
        data = frame_bytes(read_file(place[0], limit=most_bytes(max_pixels))[0], place[1])
    except ImageError:
        return None
    return data if hashlib.sha256(data).hexdigest() == record.payload.get("_sha256") else None


def id_of(picture: str | os.PathLike[str]) -> str:
    """The point id of a picture given by point id, URI or path."""
    text = check_name(picture)
    if len(text) == 36 and text.count("-") == 4:
        try:
            return str(uuid.UUID(text))
        except ValueError:
            pass
    return point_id(name_as_uri(picture))


def name_as_uri(picture: str | os.PathLike[str]) -> str:
    """The canonical URI of a picture given by URI or path."""
    return canonical_uri(picture if isinstance(picture, str) else Path(picture))


def check_name(picture: object) -> str:
    """The text of a point id, URI or path. Raises `InvalidInput` for what is none of these."""
    if isinstance(picture, (str, os.PathLike)):
        text = os.fspath(picture)
        if isinstance(text, str) and text:
            return text
    raise InvalidInput(f"picture {shown(picture)}: expected its URI, its path or its point id, as text or pathlib.Path")


def not_found(collection: str, picture: str | os.PathLike[str]) -> PointNotFound:
    """The error for a name that the collection does not know."""
    return PointNotFound(
        f"{shown_name(picture)}: no picture of collection {collection!r}; "
        "expected its URI, its path or its point id, as `semblant search --json` prints them"
    )


def _is_unchanged(path: Path, record: Record) -> bool:
    """Whether the file is still the one that was indexed, or gone, so that only its stored vectors can answer."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest() == record.payload.get("_sha256")
    except ImageError:
        return True
