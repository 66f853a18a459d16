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
import uuid
from collections.abc import Mapping  # noqa: TC003 - the types of what is read from JSON are looked up
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .accepted_failures import accepted_asset
from .collection import ADDED, SOURCES_FIELD
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
    "check_source_name",
    "find_source",
    "forget_source",
    "generation_sources",
    "identity_of",
    "is_source_asset",
    "new_source",
    "note_added",
    "owners",
    "pictures_of",
    "read_source",
    "read_sources",
    "source_ids",
    "write_source",
]

IDENTITY_ASSET = "identity"
"""A name that no other collection has and that all its generations keep, however the database is reached."""
_PREFIX, _SUFFIX = "source-", ".json"
_LONGEST_NAME = 100


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
    """The sources that a generation remembers, by name. Raises `NotADatabase` for a record that is damaged."""
    return _records({name: store.asset(name) for name in store.assets() if is_source_asset(name)})


def read_source(store: Store, id: str) -> SourceRecord | None:
    """The record of a source by its id, None where a generation has none."""
    return next(iter(_records({_asset(id): store.asset(_asset(id))})), None)


def generation_sources(db: Database, collection: str, generation: str) -> list[SourceRecord]:
    """`read_sources` of a generation that may be open in another process."""
    names = [name for name in db.assets(collection, generation) if is_source_asset(name)]
    return _records({name: db.asset(collection, generation, name) for name in names})


def write_source(store: Store, record: SourceRecord) -> None:
    """Remember a source in a generation, in place of the record of the same id."""
    data = json.dumps(write_model(record), ensure_ascii=False, indent=1).encode()
    store.put_asset(_asset(record.id), data)


def note_added(store: Store) -> None:
    """Remember that programs added pictures through a client: a source without a root, whose name is `client`."""
    if store.asset(_asset(ADDED)) is None:
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


def find_source(records: Iterable[SourceRecord], wanted: str) -> SourceRecord:
    """The source of a name, an id or a root. Raises `InvalidInput` where there is none."""
    known = list(records)
    if not isinstance(wanted, str) or not wanted:  # a client's source has no root
        raise InvalidInput(f"source {shown(wanted)}: expected its name, its id or its root")
    for attribute in ("name", "id", "root"):
        for record in known:
            if getattr(record, attribute) == wanted:
                return record
    there = ", ".join(repr(record.name) for record in known) or "none"
    raise InvalidInput(f"source {shown_name(wanted)}: the collection has no such source; there: {there}")


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


def _asset(id: str) -> str:
    return f"{_PREFIX}{id}{_SUFFIX}"


def _records(data: Mapping[str, bytes | None]) -> list[SourceRecord]:
    records = []
    for name, content in data.items():
        if content is None:  # forgotten meanwhile
            continue
        told: dict[str, Any] = {"what": repr(name), "error": NotADatabase, "advice": "index the source again"}
        records.append(read_model(SourceRecord, parse_object(content, **told), **told))
    return sorted(records, key=lambda record: (record.name, record.id))


def _name_of(root: str) -> str:
    parts = urlsplit(root)
    name = PurePosixPath(unquote(parts.path, errors="replace")).name or parts.netloc or "pictures"
    name = "".join(character if character.isprintable() else "?" for character in name)
    return name[: _LONGEST_NAME - 10]
