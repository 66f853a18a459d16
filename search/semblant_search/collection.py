"""What a collection is: point ids, payload names, field types and the manifest. The contract between indexer and client."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping  # noqa: TC003 - the types of what is read from JSON are looked up
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from .encoder import EncoderCard, check_card_version
from .errors import InvalidInput, MetadataError, NotADatabase
from .formats import FORMAT_VERSION, upgraded
from .frame_names import split_uri
from .json_models import MAY_BE_MISSING, parse_object, read_model, write_model
from .shown import shown, shown_error, shown_name

__all__ = [
    "ADDED",
    "FORMAT_VERSION",
    "IMAGE_VECTOR",
    "MERGED_FIELD",
    "NAMES_FIELD",
    "RESERVED_FIELDS",
    "SOURCES_FIELD",
    "FieldType",
    "Manifest",
    "StorageOptions",
    "canonical_uri",
    "check_new_uri",
    "picture_place",
    "point_id",
    "uri_path",
    "wider",
]

IMAGE_VECTOR = "image"
"""The dense vector of an encoder: cosine."""
ORB_VECTOR = "orb"
"""The sparse vector of visual words: dot product with IDF."""
FEATURES_VECTOR = "orb_features"
"""Key points and descriptors as a multivector that is stored, never searched, and read only when asked for."""
CELLS_VECTOR = "cells"
"""The local vectors of an encoder that has them: MaxSim."""


class FieldType(str, Enum):
    """Types of payload fields, by the names that Qdrant's payload indexes use."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    GEO = "geo"


def wider(one: FieldType, other: FieldType) -> FieldType:
    """The type whose values are those of both: itself for two of a kind, `FLOAT` for numbers, text for all others.

    What is in the payload already has to become text, too (`Store.add_fields`): an index of text finds no numbers.
    """
    if one is other:
        return one
    return FieldType.FLOAT if {one, other} == {FieldType.INTEGER, FieldType.FLOAT} else FieldType.KEYWORD


RESERVED_FIELDS: Mapping[str, FieldType] = {
    "_uri": FieldType.KEYWORD,
    "_sha256": FieldType.KEYWORD,
    "_width": FieldType.INTEGER,
    "_height": FieldType.INTEGER,
    "_format": FieldType.KEYWORD,
    "_bytes": FieldType.INTEGER,
    "_indexed_at": FieldType.DATETIME,
}
"""Semblant's own payload fields, set on every point: canonical URI, SHA-256 of the file, pixels as seen (after EXIF
orientation), Pillow's format name (`JPEG`), size of the file in bytes, and the time of indexing (RFC 3339, UTC)."""

SOURCES_FIELD = "_sources"
"""The payload field of the sources that hold a picture: a list of their ids, see `sources`. Older versions wrote none."""
NAMES_FIELD, MERGED_FIELD = "_names", "_uris"
"""Payload fields with other URIs of a picture: of its very file (links), and of files of the same bytes that were merged."""
ADDED = "client"
"""The source of what programs add through a client. Index jobs neither prune nor move such pictures, and rebuild them."""

_NAMESPACE = uuid.UUID("6f6d2b6e-5a63-5c3e-9d0a-6c1a6d9c1b7e")


def canonical_uri(source: str | Path) -> str:
    """One spelling for one picture: an absolute `file://` URI for a path, a URL as it is.

    Links are not followed, so a picture keeps its name when what a link points to moves. Only `..` behind a link to a folder
    is where the file system says: above the folder that the link leads to, so that a path and its URI are one file. Where
    there is no such link, as for a path that does not exist, `..` takes away the name before it. Bytes of a file name that
    are not UTF-8 are percent-encoded, so that every name that a file system allows has a URI. Raises `InvalidInput`.
    """
    text = str(source)
    if isinstance(source, str) and "://" in text:
        local = uri_path(text)
        if local is not None:
            return canonical_uri(local)
        try:
            text.encode()  # an id is made of these bytes
        except UnicodeEncodeError as error:
            raise InvalidInput(f"URI {shown_name(text)}: is not UTF-8; write its other bytes as %XX") from error
        return text
    names: list[str] = []
    for name in Path(text).absolute().as_posix().split("/"):  # `absolute` keeps `..`
        if name != "..":
            names += [name] if name not in ("", ".") else []
            continue
        folder = "/" + "/".join(names)
        names = os.path.realpath(folder).strip("/").split("/") if _is_link(folder) else names
        names = names[:-1]
    try:
        return f"file:///{quote_path('/'.join(names))}"
    except UnicodeEncodeError as error:
        raise InvalidInput(f"path {shown_name(text)}: half of a surrogate pair is in no name of a file") from error


def check_new_uri(uri: str) -> str:
    """Accept the name of a picture that is new, or raise `InvalidInput`: it is shown in lines, and may be that of a file.

    Of pictures that are there already such names stay, so that they can be found and deleted by them.
    """
    if _IN_NO_NAME.search(uri):
        raise InvalidInput(
            f"URI {shown_name(uri)}: expected one without line breaks and other control characters, and without %00: no file "
            "has such a name; write %0A for a line break in the name of a file, or take it out"
        )
    return uri


_IN_NO_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]|%00")
"""Characters of Unicode's category Cc, and those that end a line; a NUL that is written as in a file's URI."""


def _is_link(folder: str) -> bool:
    try:
        return Path(folder).is_symlink() and Path(folder).is_dir()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def member_uri(file_uri: str, name: str) -> str:
    """The URI of a member of an archive: the archive's URI, `#`, and the member's name, in which `..` is but a name's end."""
    names: list[str] = []
    for part in name.split("/"):
        if part == "..":
            names = names[:-1]
        elif part not in ("", "."):
            names.append(part)
    return f"{file_uri}#{quote_path('/'.join(names))}"


def quote_path(path: str) -> str:
    """The text of a path in a URI."""
    return quote(path, safe="/!$&'()*+,;=:@-._~", errors="surrogateescape")


def uri_path(uri: str) -> Path | None:
    """The local path of a `file://` URI; None for any other URI, for a file of another host (`file://host/…`), and for a part
    of a file (`file:///…/shard.tar#member.jpg`).

    Raises `InvalidInput` for what is no URI.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidInput(
            f"URI {shown_name(uri)}: {_reason(error)}; expected a path, or a URI such as file:///pictures/a.png"
        ) from error
    if parts.scheme != "file" or parts.fragment or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path, errors="surrogateescape"))


def picture_place(uri: str) -> tuple[Path, str | None] | None:
    """The local file that a picture is in, and the fragment that names it there (`images.frames`); None where there is none.

    Raises `InvalidInput` for what is no URI.
    """
    file, fragment = split_uri(uri)
    path = uri_path(file)
    return None if path is None else (path, fragment)


def _reason(error: ValueError) -> str:
    """What `urlsplit` says; some of it quotes the password."""
    return "is no URI" if "@" in str(error) else shown_error(error)


def point_id(uri: str) -> str:
    """UUIDv5 of a canonical URI: indexing the same picture again overwrites its point."""
    return str(uuid.uuid5(_NAMESPACE, uri))


_LONGEST_NAME = 255


def check_field_name(name: str) -> str:
    """Accept a metadata column as a payload field, or raise `MetadataError`."""
    if not name:
        raise MetadataError("a metadata column has no name; give every column a header")
    if len(name) > _LONGEST_NAME:
        raise MetadataError(
            f"metadata column {shown(name)}: has {len(name):,} characters, more than {_LONGEST_NAME}; rename it"
        )
    if name.startswith("_"):
        raise MetadataError(
            f"metadata column {shown(name)}: names that begin with an underscore are Semblant's own; rename the column"
        )
    if any(character in name for character in '."[]') or not name.isprintable():
        raise MetadataError(
            f"metadata column {shown(name)}: dots, brackets, quotes and control characters address nested keys; rename it"
        )
    return name


MOST_FEATURE_BYTES = 4096

QUANTIZATIONS = ("scalar", "binary", "turbo")
_SPREAD = ("shards", "replicas", "write_consistency")
_MOST_SPREAD = 1000


@dataclass(frozen=True)
class StorageOptions:
    """How a generation keeps the dense vectors: for collections that do not fit into memory, or into one machine.

    Attributes:
        quantize: None, `scalar` (8 bits a number), `turbo` (4 bits) or `binary` (1 bit). The search walks small copies of the
            vectors, which stay in memory, and scores what it found by the originals, so that scores stay cosines.
        on_disk: the originals, the graph and the payload indexes are read from disk when they are needed.
        shards: parts that a cluster spreads over its nodes; None leaves this and the next two to the server.
        replicas: nodes that hold each shard.
        write_consistency: replicas that have to take a write before it counts as done.
    """

    quantize: str | None = None
    on_disk: bool = False
    shards: int | None = field(default=None, metadata=MAY_BE_MISSING)
    replicas: int | None = field(default=None, metadata=MAY_BE_MISSING)
    write_consistency: int | None = field(default=None, metadata=MAY_BE_MISSING)

    def __post_init__(self) -> None:
        if self.quantize is not None and self.quantize not in QUANTIZATIONS:
            raise InvalidInput(f"quantization {self.quantize!r}: expected one of {', '.join(QUANTIZATIONS)}, or none")
        for name in _SPREAD:
            value = getattr(self, name)
            if value is not None and not 1 <= value <= _MOST_SPREAD:
                raise InvalidInput(f"{name} {value}: expected a number from 1 to {_MOST_SPREAD}")
        if (self.write_consistency or 1) > (self.replicas or _MOST_SPREAD):
            raise InvalidInput(
                f"write_consistency {self.write_consistency}: expected no more than there are replicas ({self.replicas})"
            )

    @property
    def spread(self) -> dict[str, int]:
        """What is said of shards, replicas and write consistency, by name."""
        return {name: value for name in _SPREAD if (value := getattr(self, name)) is not None}

    def spread_as(self, other: StorageOptions) -> StorageOptions:
        """With what another says of shards, replicas and write consistency, where this says nothing."""
        return replace(self, **{**other.spread, **self.spread})  # type: ignore[arg-type]

    def is_met_by(self, other: StorageOptions) -> bool:
        """Whether what is kept as another says is kept as this says."""
        kind = (self.quantize, self.on_disk) == (other.quantize, other.on_disk)
        return kind and self.spread.items() <= other.spread.items()

    def to_json(self) -> dict[str, Any]:
        """The value of `storage` in a manifest."""
        return {name: value for name, value in write_model(self).items() if value is not None or name not in _SPREAD}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StorageOptions:
        """The inverse of `to_json`. Raises `InvalidInput`."""
        return read_model(cls, data, what="the storage options", error=InvalidInput, advice="name quantize and on_disk")


@dataclass(frozen=True)
class _OrbFacts:
    """What a manifest says about ORB features, as far as an engine has to know it."""

    feature_bytes: int
    vocabulary: str = field(default="", metadata=MAY_BE_MISSING)
    settings: Mapping[str, Any] = field(default_factory=dict, metadata=MAY_BE_MISSING)

    def __post_init__(self) -> None:
        if not 0 < self.feature_bytes <= MOST_FEATURE_BYTES or self.feature_bytes % 4:
            raise InvalidInput(f"{self.feature_bytes} bytes a feature: expected a multiple of 4, at most {MOST_FEATURE_BYTES}")


@dataclass(frozen=True)
class Manifest:
    """What a generation of a collection remembers about itself.

    Attributes:
        collection: the name that people use.
        generation: `g0001`, `g0002`, …: each build beside the old one.
        encoder_fingerprint: SHA-256 of the encoder file that all vectors came from.
        encoder: its card.
        fields: payload fields with an index, reserved ones included; nested keys with dots.
        orb: settings of ORB extraction and the vocabulary's fingerprint, or None without ORB vectors.
        created_at: RFC 3339, UTC.
        storage: how the dense vectors are kept.
    """

    collection: str
    generation: str
    encoder_fingerprint: str
    encoder: EncoderCard
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    orb: Mapping[str, Any] | None = field(default=None, metadata=MAY_BE_MISSING)
    created_at: str = ""
    storage: StorageOptions = field(default=StorageOptions(), metadata=MAY_BE_MISSING)

    @property
    def dim(self) -> int:
        """Numbers in the dense vector."""
        return self.encoder.dim

    def with_fields(self, fields: Mapping[str, FieldType]) -> Manifest:
        """A copy that knows more payload fields.

        One of whole numbers may become one of floats, and takes whole ones then, too; any may become one of text.

        Raises:
            MetadataError: one changes its type in another way.
        """
        kinds: dict[str, FieldType] = {}
        for name, kind in fields.items():
            known = self.fields.get(name, kind)
            joined = wider(known, kind)
            if joined is FieldType.KEYWORD and kind is not joined:
                raise MetadataError(
                    f"metadata field {name!r} is {kind.value}, but collection {self.collection!r} holds it as {known.value}; "
                    "convert the column, or build a new generation with --rebuild"
                )
            kinds[name] = joined
        return replace(self, fields={**self.fields, **kinds})

    def to_json(self) -> dict[str, Any]:
        """The content of `manifest.json`, and of a server collection's metadata."""
        return {
            "format_version": FORMAT_VERSION,
            **write_model(self),
            "encoder": self.encoder.to_json(),
            "storage": self.storage.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], what: str = "the collection's manifest") -> Manifest:
        """The inverse of `to_json`, also of an older version's.

        Args:
            data: JSON values.
            what: what they are called in messages, such as the file's name.

        Raises:
            NotADatabase: a version that this Semblant does not read; facts missing or wrong, by name.
            EncoderError: the same of the encoder's card.
        """
        facts = upgraded(data, what)
        if "encoder" in facts:
            check_card_version(facts["encoder"])
        if facts.get("orb") is not None:
            read_model(_OrbFacts, facts["orb"], what=f"{what}, 'orb'", error=NotADatabase, advice="index again")
        return read_model(cls, facts, what=what, error=NotADatabase, advice="index again")

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Manifest:
        """From the content of `manifest.json`, which messages call `what`; raises as `from_json` does."""
        return cls.from_json(parse_object(data, what=what, error=NotADatabase, advice="index again into a new database"), what)

    def to_bytes(self) -> bytes:
        """The content of `manifest.json`."""
        return json.dumps(self.to_json(), ensure_ascii=False, indent=1).encode()


def check_collection_name(name: str) -> str:
    """Accept a collection name (letters, digits, `-`, `_`, at most 100), or raise `InvalidInput`."""
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= 100
        or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    ):
        raise InvalidInput(f"collection name {shown(name)}: expected 1 to 100 letters, digits, '-' or '_'")
    return name
