"""The sources of a collection: where its pictures come from, kept in the collection itself for every machine to see.

A source is a folder, a list or tar files that an index job was given; it has a name, and an id that its pictures carry
(`collection.SOURCES_FIELD`). A picture that several sources hold carries the ids of all. What programs add through a client is
the source `client`, which has no root.

Each record is a file of its own beside the generation's vectors, so that jobs of two sources on two machines never write over
each other's.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping  # noqa: TC003 - the types of what is read from JSON are looked up
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .accepted_failures import accepted_asset
from .collection import ADDED, SOURCES_FIELD, canonical_uri, uri_path
from .errors import InvalidInput, NotADatabase
from .json_models import MAY_BE_MISSING, parse_object, read_model, write_model
from .shown import shown, shown_name
from .where import F

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .store import Database, Store
    from .where import Where

__all__ = [
    "IDENTITY_ASSET",
    "SourceRecord",
    "check_new_name",
    "check_source_name",
    "damaged_sources",
    "find_source",
    "forget_source",
    "generation_damaged",
    "generation_sources",
    "identity_of",
    "is_source_asset",
    "local_root",
    "new_source",
    "note_added",
    "owners",
    "pictures_of",
    "read_source",
    "read_sources",
    "same_place",
    "source_ids",
    "write_source",
]

IDENTITY_ASSET = "identity"
"""A name that no other collection has and that all its generations keep, however the database is reached."""
_PREFIX, _SUFFIX = "source-", ".json"
_LONGEST_NAME = 100
_MOST_NAMED = 20


@dataclass(frozen=True)
class SourceRecord:
    """What a collection remembers of a source.

    Attributes:
        id: what its pictures carry in `_sources`.
        name: what people call it.
        root: the URI of the folder (with a slash at the end), list or tar files; without a password.
        settings: what its index job was told, as far as it matters for indexing it again: `include`, `exclude`, `hidden`,
            `metadata`, `fields`, `exif`, `duplicates`.
        revision: another one after every job. A ledger that remembers an earlier one is out of date.
        scanned_at: when it was last seen completely, RFC 3339 in UTC; None before that.
        pictures: how many of it were in the collection then.
    """

    id: str
    name: str
    root: str
    settings: Mapping[str, Any] = field(default_factory=dict, metadata=MAY_BE_MISSING)
    revision: str = field(default="", metadata=MAY_BE_MISSING)
    scanned_at: str | None = field(default=None, metadata=MAY_BE_MISSING)
    pictures: int | None = field(default=None, metadata=MAY_BE_MISSING)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def owners(payload: Mapping[str, Any]) -> list[str]:
    """The ids of the sources that hold a picture, in order; none for what a Semblant before sources indexed."""
    return sorted(payload.get(SOURCES_FIELD) or ())


def pictures_of(source: str) -> Where:
    """The filter for the pictures of a source, by its id."""
    return F(SOURCES_FIELD) == source


def is_source_asset(name: str) -> bool:
    """Whether a file kept with a generation is the record of a source."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def source_ids(assets: Iterable[str]) -> set[str]:
    """The ids of the sources that have a record, be it damaged, by the names of the files kept with a generation."""
    return {name[len(_PREFIX) : -len(_SUFFIX)] for name in assets if is_source_asset(name)}


def read_sources(store: Store) -> list[SourceRecord]:
    """The sources that a generation remembers, by name; without those whose records are damaged (`damaged_sources`)."""
    return _records(_assets_of(store))[0]


def damaged_sources(store: Store) -> dict[str, str]:
    """The ids of sources whose records cannot be read, each with what is wrong with it. What else there is goes on without."""
    return _records(_assets_of(store))[1]


def read_source(store: Store, id: str) -> SourceRecord | None:
    """The record of a source by its id, None where a generation has none that can be read."""
    return next(iter(_records({_asset(id): store.asset(_asset(id))})[0]), None)


def generation_sources(db: Database, collection: str, generation: str) -> list[SourceRecord]:
    """`read_sources` of a generation that may be open in another process."""
    return _records(_assets_in(db, collection, generation))[0]


def generation_damaged(db: Database, collection: str, generation: str) -> dict[str, str]:
    """`damaged_sources` of a generation that may be open in another process."""
    return _records(_assets_in(db, collection, generation))[1]


def write_source(store: Store, record: SourceRecord) -> None:
    """Remember a source in a generation, in place of the record of the same id."""
    data = json.dumps(write_model(record), ensure_ascii=False, indent=1).encode()
    store.put_asset(_asset(record.id), data)


def note_added(store: Store) -> None:
    """Remember that programs added pictures through a client: a source without a root, whose name is `client`."""
    if read_source(store, ADDED) is None:  # or it is damaged, and there is nothing in it to lose
        write_source(store, SourceRecord(ADDED, ADDED, ""))


def forget_source(store: Store, id: str) -> None:
    """Forget a source; its pictures are another matter."""
    store.drop_asset(_asset(id))
    store.drop_asset(accepted_asset(id))


def identity_of(db: Database, collection: str) -> str | None:
    """The identity of a collection, also while another process has it open; None where nothing serves or it has none yet."""
    generation = db.collections().get(collection)
    data = None if generation is None else db.asset(collection, generation, IDENTITY_ASSET)
    return None if data is None else data.decode("ascii", "replace")


def find_source(records: Iterable[SourceRecord], wanted: str | os.PathLike[str]) -> SourceRecord:
    """The source of a name, an id or a root, which may be any path or URL of it. Raises `InvalidInput` where there is none."""
    known = list(records)
    if not isinstance(wanted, (str, os.PathLike)) or not isinstance(os.fspath(wanted), str) or not os.fspath(wanted):
        raise InvalidInput(f"source {shown(wanted)}: expected its name, its id or its root")  # a client's source has no root
    text = os.fspath(wanted)
    if isinstance(wanted, str):
        for attribute in ("name", "id", "root"):
            for record in known:
                if getattr(record, attribute) == text:
                    return record
    try:
        uri = canonical_uri(text if "://" in text else Path(text)).rstrip("/")
        place = uri_path(uri)
    except (InvalidInput, ValueError):  # ValueError: a NUL
        uri, place = text, None
    for record in known:
        if record.root and record.root.rstrip("/") == uri:
            return record
    for record in known:
        if place is not None and (root := local_root(record)) is not None and same_place(place, root):
            return record
    raise InvalidInput(f"source {shown_name(text)}: the collection has no such source; {_what_there_is(known, text, uri)}")


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths are one folder or file: by a link, by a mount, or written otherwise."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one is not there; a NUL in the name
        return False


def local_root(record: SourceRecord) -> Path | None:
    """Where a source's root is on this machine, whether or not it is there; None for one that is elsewhere."""
    try:
        return uri_path(record.root) if record.root.startswith("file:") else None
    except InvalidInput:  # no URI
        return None


def _what_there_is(known: Sequence[SourceRecord], text: str, uri: str) -> str:
    if not known:
        return "there: none"
    roots = {one.root.rstrip("/"): one for one in known if one.root}
    names = {one.name: one for one in known}
    by_path = "/" in text
    lower = {name.lower(): name for name in names}
    near = get_close_matches(uri, roots, 1, 0.8) if by_path else get_close_matches(text.lower(), lower, 1)
    meant = f"did you mean {near[0] if by_path else lower[near[0]]!r}? " if near else ""
    rest = f" and {len(known) - _MOST_NAMED:,} more (`semblant sources` lists them)" if len(known) > _MOST_NAMED else ""
    told = [f"{one.name!r}" + (f" ({one.root})" if by_path and one.root else "") for one in known[:_MOST_NAMED]]
    return f"{meant}{'There' if meant else 'there'}: {', '.join(told)}{rest}"


def new_source(root: str, name: str | None, settings: Mapping[str, Any], known: Sequence[SourceRecord]) -> SourceRecord:
    """A record for a source that the collection does not know yet; without a name it gets that of its folder or file."""
    taken = {ADDED, *(record.name for record in known)}
    if name is None:
        plain = _name_of(root)
        name = next(one for one in (plain, *(f"{plain}-{number}" for number in range(2, len(taken) + 3))) if one not in taken)
    # Two first jobs at once, on two machines, make one source of one root.
    id = hashlib.blake2b(root.encode(errors="surrogateescape"), digest_size=6).hexdigest()
    if any(record.id == id for record in known):  # of one that was there before it moved
        id = uuid.uuid4().hex[:12]
    return SourceRecord(id, name, root, settings)


def check_source_name(name: str) -> str:
    """Accept a name, or raise `InvalidInput`."""
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"source name {shown(name)}: expected 1 to {_LONGEST_NAME} printable characters")
    if name == ADDED:
        raise InvalidInput(f"source name {name!r}: that is what programs add through a client; choose another name")
    return name


def check_new_name(name: str, known: Iterable[SourceRecord]) -> str:
    """Accept a name that no source of a collection has yet, or raise `InvalidInput`."""
    check_source_name(name)
    taken = next((one for one in known if name in (one.name, one.id)), None)
    if taken is not None:
        raise InvalidInput(
            f"source name {name!r}: that is source {taken.name!r} of {taken.root or 'a client'} already; choose another name"
        )
    return name


def _asset(id: str) -> str:
    return f"{_PREFIX}{id}{_SUFFIX}"


def _assets_of(store: Store) -> dict[str, bytes | None]:
    return {name: store.asset(name) for name in store.assets() if is_source_asset(name)}


def _assets_in(db: Database, collection: str, generation: str) -> dict[str, bytes | None]:
    names = [name for name in db.assets(collection, generation) if is_source_asset(name)]
    return {name: db.asset(collection, generation, name) for name in names}


def _records(data: Mapping[str, bytes | None]) -> tuple[list[SourceRecord], dict[str, str]]:
    """The records by name, and what is wrong with the others by the ids of their sources."""
    records, damaged = [], {}
    for name, content in data.items():
        if content is None:  # forgotten meanwhile
            continue
        id = name[len(_PREFIX) : -len(_SUFFIX)]
        what, advice = f"the record of source {id!r} ({name})", _WAY_OUT.format(id=id)
        told: dict[str, Any] = {"what": what, "error": NotADatabase, "advice": advice}
        try:
            record = read_model(SourceRecord, parse_object(content, **told), **told)
            if record.id != id:
                raise NotADatabase(f"{what} is that of another one, {record.id!r}; {advice}")
        except NotADatabase as error:
            damaged[id] = str(error)
        else:
            records.append(record)
    return sorted(records, key=lambda record: (record.name, record.id)), damaged


_WAY_OUT = (
    "its pictures are all there and are found. Index its folder again, which writes the record anew, or give it up with the "
    "pictures that no other source holds (semblant sources remove {id})"
)


def _name_of(root: str) -> str:
    parts = urlsplit(root)
    name = PurePosixPath(unquote(parts.path, errors="replace")).name or parts.netloc or "pictures"
    name = "".join(character if character.isprintable() else "?" for character in name)
    return name[: _LONGEST_NAME - 10]
