"""Giving up a source of a collection, and following one whose pictures moved."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import (
    NAMES_FIELD,
    SOURCES_FIELD,
    canonical_uri,
    check_new_uri,
    picture_place,
    point_id,
    uri_path,
)
from semblant_search.errors import InvalidInput
from semblant_search.feature_reader import VOCABULARY_ASSET
from semblant_search.frame_names import frame_bytes
from semblant_search.orb import Vocabulary
from semblant_search.shown import shown, shown_name
from semblant_search.sources import find_source, forget_source, pictures_of, read_sources, write_source
from semblant_search.store import Point
from semblant_search.store.files import sha256_of

from .points import words_of
from .shared_pictures import Released, owned_payload, release

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from semblant_search.serving import Generation
    from semblant_search.sources import SourceRecord
    from semblant_search.store import Record, Store

__all__ = [
    "Released",
    "Relocation",
    "SourceSummary",
    "relocate_source",
    "remove_source",
    "summaries",
]

_WITH_VECTORS = 256


@dataclass(frozen=True)
class SourceSummary:
    """A source of a collection.

    Attributes:
        id: what its pictures carry in `_sources`.
        name: what people call it; `client` is what programs added.
        root: the URI of its folder (with a slash at the end), list or tar files; empty for `client`.
        pictures: how many of it are in the collection now.
        scanned_at: when an index job saw all of it last, RFC 3339 in UTC; None before that.
    """

    id: str
    name: str
    root: str
    pictures: int
    scanned_at: str | None

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Relocation:
    """What became of the pictures of a source that moved.

    Attributes:
        name, old, new: the source, and its roots.
        renamed: pictures that are at their new place as they were; they keep vectors and metadata.
        missing: pictures that are not there; they stay under their old names until a job prunes them.
        different: files there that are other ones by now; the same, and a job indexes them under the new names.
        elsewhere: pictures that do not lie below the old root, such as those that a list names by their full paths.
    """

    name: str
    old: str
    new: str
    renamed: int
    missing: int
    different: int
    elsewhere: int

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def summaries(generation: Generation) -> list[SourceSummary]:
    """The sources, by name."""
    store = generation.store
    if SOURCES_FIELD not in store.manifest.fields:
        store.refresh()
    if SOURCES_FIELD not in store.manifest.fields:
        return []
    return [
        SourceSummary(one.id, one.name, one.root, store.count(pictures_of(one.id)), one.scanned_at)
        for one in read_sources(store)
    ]


def remove_source(generation: Generation, name: str) -> Released:
    """Forget a source with its pictures. Raises `InvalidInput` where there is none of that name, id or root."""
    store = generation.store
    with generation.writing:
        record = find_source(read_sources(store), name)
        released = release(store, [one.id for one in store.scroll(where=pictures_of(record.id), fields=())], record.id)
        forget_source(store, record.id)
        return released


def relocate_source(generation: Generation, name: str, root: str | os.PathLike[str], *, check: bool = True) -> Relocation:
    """Follow a source whose pictures moved: they get their new names, and keep vectors and metadata.

    Raises:
        InvalidInput: no such source; a root that cannot be one; fewer than half of the pictures are there. Nothing is changed.
    """
    store = generation.store
    with generation.writing:
        records = read_sources(store)
        record = find_source(records, name)
        new = _root_like(record, root)
        taken = next((one for one in records if one.root == new), None)
        if taken is not None:
            raise InvalidInput(f"{shown_name(new)} is the root of source {taken.name!r} already; nothing was changed")
        if not record.root or new.startswith(record.root) or record.root.startswith(new):
            raise InvalidInput(
                f"source {record.name!r} cannot move from {record.root or 'a client'!r} to {shown_name(new)}: expected a root "
                "that lies neither within the old one nor around it; nothing was changed"
            )
        places = {}
        counts = Counter[str]()
        for one in store.scroll(where=pictures_of(record.id), fields=["_uri", "_sha256"]):
            uri = str(one.payload.get("_uri"))
            there = _moved(uri, record.root, new)
            state = "elsewhere" if there is None else _state(there, one.payload.get("_sha256"), check=check)
            counts[state] += 1
            if there is not None and state == "renamed":
                places[uri] = there
        under = counts.total() - counts["elsewhere"]
        if counts["renamed"] * 2 < under:
            raise InvalidInput(
                f"source {record.name!r} cannot be relocated to {shown_name(new)}: of its {under:,} pictures "
                f"{counts['renamed']:,} are there as they were, {counts['missing']:,} are not, {counts['different']:,} files "
                "are other ones; at least half of them were expected. Nothing was changed"
            )
        _rename(store, record, places)
        settings = dict(record.settings)
        if settings.get("metadata") is not None:
            table = _moved(canonical_uri(Path(settings["metadata"])), record.root, new)
            settings["metadata"] = str(uri_path(table)) if table is not None else settings["metadata"]
        write_source(store, replace(record, root=new, settings=settings, revision=uuid.uuid4().hex))
        counted = (counts[state] for state in ("renamed", "missing", "different", "elsewhere"))
        return Relocation(record.name, record.root, new, *counted)


def _root_like(record: SourceRecord, root: str | os.PathLike[str]) -> str:
    """A root of the same kind as a source's."""
    if not isinstance(root, (str, os.PathLike)) or not isinstance(os.fspath(root), str) or not os.fspath(root):
        raise InvalidInput(f"root {shown(root)}: expected the path or URL of the source's folder, list or tar")
    text = os.fspath(root)
    uri = check_new_uri(canonical_uri(text if "://" in text else Path(text))).rstrip("/")
    return f"{uri}/" if record.root.endswith("/") else uri


def _moved(uri: str, old: str, new: str) -> str | None:
    """Where a picture of a source is now; None for one that does not lie below its root."""
    if uri.startswith(f"{old}#"):  # a member of a tar
        return new + uri[len(old) :]
    if not old.endswith("/"):  # a list's pictures lie beside it
        old, new = old.rpartition("/")[0] + "/", new.rpartition("/")[0] + "/"
    return new + uri[len(old) :] if uri.startswith(old) else None


def _state(uri: str, sha256: object, *, check: bool) -> str:
    if not check:
        return "renamed"
    place = picture_place(uri)
    if place is None:
        raise InvalidInput(
            f"{shown_name(uri)} cannot be read from here to see whether it is the same picture; if you know that it is: "
            "check=False (--no-check)"
        )
    try:
        path, fragment = place
        found = sha256_of(path) if fragment is None else _sha256_of_frame(path, fragment)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return "missing"
    return "renamed" if found == sha256 else "different"


def _sha256_of_frame(path: Path, fragment: str) -> str:
    return hashlib.sha256(frame_bytes(path.read_bytes(), fragment)).hexdigest()


def _rename(store: Store, record: SourceRecord, places: Mapping[str, str]) -> None:
    data = store.asset(VOCABULARY_ASSET) if store.manifest.orb is not None else None
    words = None if data is None else Vocabulary.from_bytes(data)
    for part in _parts(places, _WITH_VECTORS):
        ids = [point_id(uri) for uri in part]
        there = {one.id: one.payload for one in store.retrieve([point_id(places[uri]) for uri in part])}
        points = []
        for one in store.retrieve(ids, with_image=True, with_features=True, with_cells=True):
            point = _renamed(one, places, words)
            points.append(replace(point, payload=owned_payload(there.get(point.id, {}), point.payload, record.id)))
        store.upsert(points)
        release(store, ids, record.id)


def _renamed(record: Record, places: Mapping[str, str], words: Vocabulary | None) -> Point:
    payload = dict(record.payload)
    payload["_uri"] = uri = places[str(payload["_uri"])]
    payload.pop(NAMES_FIELD, None)  # the next job finds those of the new place
    if "_duplicate_of" in payload:
        payload["_duplicate_of"] = places.get(payload["_duplicate_of"], payload["_duplicate_of"])
    if "_uris" in payload:
        payload["_uris"] = [places.get(other, other) for other in payload["_uris"]]
    assert record.image is not None  # every point has one
    return Point(point_id(uri), record.image, payload, words_of(record.features, words), record.features, record.cells)


def _parts(items: Iterable[str], size: int) -> Iterator[list[str]]:
    every = list(items)
    return (every[start : start + size] for start in range(0, len(every), size))
