"""Pictures that a program adds: named, decoded, encoded and written as an index job would, and marked as its own."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from semblant_search.collection import ADDED, SOURCES_FIELD, FieldType, canonical_uri, check_new_uri, point_id, uri_path
from semblant_search.encoder import ENCODED_AT_ONCE
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import open_image
from semblant_search.images.sources import buffered, bytes_of
from semblant_search.item_errors import ITEM_ERRORS, in_place
from semblant_search.querying.resolving import check_name
from semblant_search.results import Picture, split_payload
from semblant_search.shown import shown, shown_name
from semblant_search.sources import note_added, owners

from .exif import EXIF_FIELDS
from .pictures import PictureRecipe
from .points import PictureFacts, as_kept, now, payload_of, point_of, words_of
from .shared_pictures import claimed
from .values import as_json, fields_of, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from PIL import Image

    from semblant_search.collection import Manifest
    from semblant_search.encoder import Encoder
    from semblant_search.images import ImageSource
    from semblant_search.item_errors import ItemError
    from semblant_search.orb import OrbSettings, Vocabulary
    from semblant_search.querying.batches import OnError
    from semblant_search.serving import Generation, Serving
    from semblant_search.store import Point

__all__ = ["ADDED_AT_ONCE", "Named", "NewPicture", "add_many", "checked_uri", "points_of", "read_named", "recipe_for"]

ADDED_AT_ONCE = 64
"""Pictures that are held as the encoder takes them, and written together."""


class NewPicture(NamedTuple):
    """A picture to be added.

    Attributes:
        picture: a path, the bytes of a file, an open binary file, a Pillow image, or an array, as in `SearchClient.search`.
        metadata: names and values, or None.
        uri: its name in the collection. None takes the path's, and for a picture without a path `sha256://…`, made of its
            content: the same content is the same picture then.
    """

    picture: ImageSource
    metadata: Mapping[str, Any] | None = None
    uri: str | os.PathLike[str] | None = None


class Named(NamedTuple):
    """A picture with its name and all that is known of it but its vectors."""

    uri: str
    facts: PictureFacts
    fitted: np.ndarray
    features: np.ndarray | None


class _Failed(NamedTuple):
    number: int
    error: ItemError
    cause: ItemError


def add_many(serving: Serving, items: Iterable[object], max_pixels: int, on_error: OnError) -> Iterator[Picture | Exception]:
    """Each picture as it is in the collection now, or for a bad one its error.

    Args:
        items: `NewPicture`s, tuples of as many values or less, or pictures.
        on_error: for errors of an item, as `item_errors` tells them from others, which are raised either way.

    Raises:
        ItemError: of an item, with its place; the items before it are in the collection.
    """
    numbered = enumerate(items)
    while chunk := list(islice(numbered, ADDED_AT_ONCE)):
        given: dict[int, NewPicture] = {}
        failed: list[_Failed] = []
        for number, item in chunk:
            new = as_new_picture(item)
            try:
                given[number] = NewPicture(buffered(new.picture, max_pixels), as_json(new.metadata), checked_uri(new.uri))
            except ITEM_ERRORS as error:
                failed.append(_Failed(number, in_place(error, number), error))
                if on_error == "raise":
                    break
        added, also = serving.change(partial(_add, given=given, on_error=on_error))
        failed += also
        if failed and on_error == "raise":
            first = min(failed, key=lambda one: one.number)
            raise first.error from first.cause
        answers: dict[int, Picture | Exception] = {**added, **{one.number: one.error for one in failed}}
        yield from (answers[number] for number, _ in chunk)


def as_new_picture(item: object) -> NewPicture:
    """What was given to be added: a `NewPicture`, a tuple of as many values or less, or a picture."""
    return NewPicture(*item) if isinstance(item, tuple) and 1 <= len(item) <= 3 else NewPicture(cast("ImageSource", item))


def recipe_for(manifest: Manifest, orb: OrbSettings | None, max_pixels: int) -> PictureRecipe:
    """How pictures of this collection are read: with what cameras say where it has a field for it."""
    return PictureRecipe(manifest.encoder.fit, max_pixels, orb, exif=EXIF_FIELDS.keys() <= manifest.fields.keys())


def read_named(recipe: PictureRecipe, picture: ImageSource, uri: str | None) -> Named:
    """Read a picture and find its name. Raises `ImageError`, and `InvalidInput` for one that is a URL."""
    source = picture
    if isinstance(picture, (str, os.PathLike)):
        path = _local(picture)
        uri = uri or canonical_uri(path)
        source = bytes_of(path, recipe.max_pixels)
    elif isinstance(picture, (bytes, bytearray, memoryview)):
        source = bytes_of(picture, recipe.max_pixels)
    try:
        parts = recipe.read(source)
    except ImageError as error:
        if isinstance(picture, (str, os.PathLike)):  # it was given by its path; a user wants to hear it
            text = str(error).partition(": ")[2]
            raise ImageError(f"{shown_name(picture)}: {text}", reason=error.reason) from error
        raise
    if isinstance(source, bytes):
        sha256, size = hashlib.sha256(source).hexdigest(), len(source)
    else:
        sha256, size = _pixels(open_image(source, max_pixels=recipe.max_pixels))
    facts = PictureFacts(sha256, size, parts.width, parts.height, parts.format, parts.exif)
    return Named(uri or f"sha256://{sha256}", facts, parts.fitted, parts.features)


def points_of(
    pictures: Sequence[Named],
    payloads: Sequence[Mapping[str, Any]],
    encoder: Encoder,
    vocabulary: Vocabulary | None,
    manifest: Manifest,
) -> list[Point]:
    """The points of read pictures, encoded a few together."""
    points = []
    for start in range(0, len(pictures), ENCODED_AT_ONCE):
        part = pictures[start : start + ENCODED_AT_ONCE]
        vectors = encoder.vectors(np.stack([one.fitted for one in part]))
        for row, one in enumerate(part):
            words = words_of(one.features, vocabulary)
            points.append(as_kept(point_of(one.uri, payloads[start + row], vectors, row, words, one.features), manifest))
    return points


def _add(
    generation: Generation, *, given: Mapping[int, NewPicture], on_error: OnError
) -> tuple[dict[int, Picture], list[_Failed]]:
    store, orb = generation.store, generation.features if generation.manifest.orb is not None else None
    recipe = recipe_for(store.manifest, orb.settings if orb else None, generation.max_pixels)
    read: dict[int, Named] = {}
    failed: list[_Failed] = []
    for number, new in given.items():
        try:
            read[number] = read_named(recipe, new.picture, cast("str | None", new.uri))
        except ITEM_ERRORS as error:
            failed.append(_Failed(number, in_place(error, number), error))
            if on_error == "raise":
                break
    if not read:
        return {}, failed
    vocabulary = orb.vocabulary if orb else None
    payloads = [payload_of(one.uri, {}, one.facts, now()) for one in read.values()]
    points = points_of(list(read.values()), payloads, generation.encoder.load(), vocabulary, store.manifest)
    added: dict[int, Picture] = {}
    writing: dict[str, Point] = {}
    with generation.writing:
        records = {number: cast("dict[str, Any]", given[number].metadata) for number in read}
        fields = generation.fields_for(records.values())
        new_fields = fields_of(records, fields)
        there = store.retrieve([point.id for point in points], fields=[SOURCES_FIELD])
        held = {record.id: owners(record.payload) for record in there}
        for number, point in zip(read, points, strict=True):
            try:
                metadata, unknown = typed(records[number], fields, new_fields, number)
            except ITEM_ERRORS as error:
                failed.append(_Failed(number, in_place(error, number), error))
                if on_error == "raise":
                    break
                continue
            new_fields |= unknown
            mine = sorted({ADDED, *held.get(point.id, ())})  # one that a job indexed stays its source's, too
            said = {ADDED: list(metadata)}
            writing[point.id] = point = replace(point, payload=claimed({**metadata, **point.payload}, said, mine))
            uri, own, facts = split_payload(point.payload)
            added[number] = Picture(point_id(uri), uri, own, facts)
        used = {
            name: field.kind for name, field in new_fields.items() if any(_has(one.metadata, name) for one in added.values())
        }
        if writing:
            store.add_fields({SOURCES_FIELD: FieldType.KEYWORD, **used})
            if not generation.added_noted:
                note_added(store)
                generation.added_noted = True
            store.upsert(list(writing.values()))
    return added, failed


def _has(metadata: Mapping[str, Any], name: str) -> bool:
    value: Any = metadata
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def checked_uri(uri: object) -> str | None:
    """A given name as it is kept, or None. Raises `InvalidInput` for what is none."""
    if uri is None:
        return None
    if isinstance(uri, os.PathLike) and isinstance(os.fspath(uri), str):
        return check_new_uri(canonical_uri(Path(uri)))
    if not isinstance(uri, str) or not all(uri.partition("://")[::2]):
        raise InvalidInput(
            f"uri {shown(uri)}: expected a URI with its scheme, such as shop://items/17, or a pathlib.Path of a file"
        )
    return check_new_uri(canonical_uri(check_new_uri(uri)))  # before, too: what reads URIs passes over line breaks


def _local(picture: str | os.PathLike[str]) -> Path:
    name = check_name(picture)
    if not isinstance(picture, str) or "://" not in picture:
        return Path(name)
    path = uri_path(picture)
    if path is None:
        raise InvalidInput(
            f"{shown_name(picture)}: a client reads local files only; read it yourself, and add its bytes with "
            f"uri={shown_name(picture)}"
        )
    return path


def _pixels(picture: Image.Image) -> tuple[str, int]:
    """The SHA-256 of decoded pixels with their kind and size, and the number of their bytes."""
    data = picture.tobytes()
    return hashlib.sha256(f"{picture.mode} {picture.width} {picture.height}\n".encode() + data).hexdigest(), len(data)
