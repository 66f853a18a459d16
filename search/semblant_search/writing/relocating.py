"""Following a source whose pictures moved, also to where a job has indexed them as another source meanwhile."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from semblant_search.collection import (
    MERGED_FIELD,
    NAMES_FIELD,
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
from semblant_search.sources import forget_source, pictures_of, read_sources, write_source
from semblant_search.store import Point
from semblant_search.store.files import sha256_of

from .points import words_of
from .shared_pictures import handed_over, owned_payload, release
from .source_changes import source_called

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from semblant_search.serving import Generation
    from semblant_search.sources import SourceRecord
    from semblant_search.store import Record, Store

__all__ = ["Relocation", "content_state", "moved_uri", "relocate_source"]

_WITH_VECTORS = 256
_T = TypeVar("_T")


@dataclass(frozen=True)
class Relocation:
    """What became of the pictures of a source that moved.

    Attributes:
        name, old, new: the source, and its roots.
        renamed: pictures that are at their new place as they were; they keep vectors and metadata.
        missing: pictures that are not there; they stay under their old names until a job prunes them.
        different: files there that are other ones by now; the same, and a job indexes them under the new names.
        elsewhere: pictures that do not lie below the old root, such as those that a list names by their full paths.
        merged: of `renamed`, those that a job had indexed under their new names, too: they are one picture now.
        overridden: of `merged`, those of which both sources said the same fields with other values; those of this source stay.
        joined: the source of the new root that became part of this one; None where there was none.
    """

    name: str
    old: str
    new: str
    renamed: int
    missing: int
    different: int
    elsewhere: int
    merged: int = 0
    overridden: int = 0
    joined: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def relocate_source(
    generation: Generation,
    name: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    check: bool = True,
    dry_run: bool = False,
) -> Relocation:
    """Follow a source whose pictures moved: they get their new names, and keep vectors and metadata.

    Where the new root is a source already, that one becomes part of this one: pictures of the same relative path and content
    are one from then on, with the metadata of both (this source's, where both say a field), and what only one has stays.

    Raises:
        InvalidInput: no such source; a root that cannot be one; fewer than half of the pictures are there. Nothing is changed.
        NotADatabase: the record of the source, named by its id, is damaged.
    """
    store = generation.store
    with generation.writing:
        records = read_sources(store)
        record = source_called(store, records, name)
        new = _root_like(record, root)
        if record.root == new:
            raise InvalidInput(f"{shown_name(new)} is the root of source {record.name!r} as it is; nothing was changed")
        taken = next((one for one in records if one.root == new), None)
        if not record.root or new.startswith(record.root) or record.root.startswith(new):
            raise InvalidInput(
                f"source {record.name!r} cannot move from {record.root or 'a client'!r} to {shown_name(new)}: expected a root "
                "that lies neither within the old one nor around it; nothing was changed"
            )
        places = {}
        counts = Counter[str]()
        for part in _parts(_pictures(store, record), _WITH_VECTORS):
            there = _there(store, part, record.root, new)
            for uri, sha256, before in part:
                place = moved_uri(uri, record.root, new)
                state = "elsewhere" if place is None else content_state(place, sha256, check=check)
                at = None if place is None else there.get(point_id(place))
                if at is not None and state == "renamed" and not check and at.get("_sha256") != sha256:
                    state = "different"  # nobody looks, and the collection knows of another content
                counts[state] += 1
                if place is not None and state == "renamed":
                    places[uri] = place
                    counts["merged"] += at is not None
                    counts["overridden"] += at is not None and _differ(before, at)
        done = Relocation(
            record.name,
            record.root,
            new,
            **{state: counts[state] for state in ("renamed", "missing", "different", "elsewhere", "merged", "overridden")},
            joined=None if taken is None else taken.name,
        )
        _refuse_strangers(done)
        if dry_run:
            return done
        _rename(store, record, places)
        if taken is not None:
            _take_in(store, record, taken)
        settings = dict(record.settings)
        if settings.get("metadata") is not None:
            table = moved_uri(canonical_uri(Path(settings["metadata"])), record.root, new)
            settings["metadata"] = str(uri_path(table)) if table is not None else settings["metadata"]
        write_source(store, replace(record, root=new, settings=settings, revision=uuid.uuid4().hex))
        return done


def _refuse_strangers(done: Relocation) -> None:
    under = done.renamed + done.missing + done.different
    if done.renamed * 2 >= under:
        return
    other = "" if done.joined is None else f"{shown_name(done.new)} is source {done.joined!r}, and holds other pictures: "
    raise InvalidInput(
        f"source {done.name!r} cannot be relocated to {shown_name(done.new)}: {other}of its {under:,} pictures "
        f"{done.renamed:,} are there as they were, {done.missing:,} are not, {done.different:,} files "
        "are other ones; at least half of them were expected. Nothing was changed"
    )


def _pictures(store: Store, record: SourceRecord) -> Iterator[tuple[str, object, Mapping[str, Any]]]:
    """The URIs of a source's pictures with their contents and payloads."""
    for one in store.scroll(where=pictures_of(record.id)):
        yield str(one.payload.get("_uri")), one.payload.get("_sha256"), one.payload


def _there(
    store: Store, part: Sequence[tuple[str, object, Mapping[str, Any]]], old: str, new: str
) -> dict[str, Mapping[str, Any]]:
    """The payloads of points that have the new names of pictures, by id."""
    places = [place for uri, _, _ in part if (place := moved_uri(uri, old, new)) is not None]
    return {one.id: one.payload for one in store.retrieve([point_id(place) for place in places])}


def _differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two payloads say something else of a field that both have."""
    return any(other[name] != value for name, value in one.items() if not name.startswith("_") and name in other)


def _take_in(store: Store, record: SourceRecord, other: SourceRecord) -> None:
    """Make what another source holds this one's, and forget the other. Killed in between, the same call goes on."""
    ids = [one.id for one in store.scroll(where=pictures_of(other.id), fields=())]
    for part in _parts(ids, _WITH_VECTORS):
        with store.writing:
            found = store.retrieve(part)
            store.set_payloads({one.id: handed_over(one.payload, other.id, record.id) for one in found})
    forget_source(store, other.id)


def _root_like(record: SourceRecord, root: str | os.PathLike[str]) -> str:
    """A root of the same kind as a source's."""
    if not isinstance(root, (str, os.PathLike)) or not isinstance(os.fspath(root), str) or not os.fspath(root):
        raise InvalidInput(f"root {shown(root)}: expected the path or URL of the source's folder, list or tar")
    text = os.fspath(root)
    uri = check_new_uri(canonical_uri(text if "://" in text else Path(text))).rstrip("/")
    return f"{uri}/" if record.root.endswith("/") else uri


def moved_uri(uri: str, old: str, new: str) -> str | None:
    """Where a picture of a source is now; None for one that does not lie below its root."""
    if uri.startswith(f"{old}#"):  # a member of a tar
        return new + uri[len(old) :]
    if not old.endswith("/"):  # a list's pictures lie beside it
        old, new = old.rpartition("/")[0] + "/", new.rpartition("/")[0] + "/"
    return new + uri[len(old) :] if uri.startswith(old) else None


def content_state(uri: str, sha256: object, *, check: bool = True) -> str:
    """`renamed` where the file of a picture holds the content that is expected (or nobody is to look), `missing`, `different`.

    Raises:
        InvalidInput: it cannot be read from this machine.
    """
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
            before = there.get(point.id, {})
            facts = {name: before[name] for name in _ABOUT_OTHERS if name in before}
            payload = owned_payload(before, {**facts, **point.payload}, record.id)
            points.append(replace(point, payload=payload))
        store.upsert(points)
        release(store, ids, record.id)


_ABOUT_OTHERS = (NAMES_FIELD, MERGED_FIELD, "_duplicate_of")
"""What a picture at the new place knows of others there, which one that is renamed cannot know."""


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


def _parts(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part
