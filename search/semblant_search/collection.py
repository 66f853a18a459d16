"""What a collection is: point ids, payload names, field types and the manifest. The contract between indexer and client."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from .encoder import EncoderCard
from .errors import InvalidInput, MetadataError, NotADatabase

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FORMAT_VERSION",
    "IMAGE_VECTOR",
    "RESERVED_FIELDS",
    "FieldType",
    "Manifest",
    "StorageOptions",
    "canonical_uri",
    "point_id",
    "uri_path",
]

FORMAT_VERSION = 2
"""Version 1 kept each byte of the ORB features as a number of its own."""

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
            raise InvalidInput(f"URI {text!r}: is not UTF-8; write its other bytes as %XX") from error
        return text
    names: list[str] = []
    for name in Path(text).absolute().as_posix().split("/"):  # `absolute` keeps `..`
        if name != "..":
            names += [name] if name not in ("", ".") else []
            continue
        folder = "/" + "/".join(names)
        names = os.path.realpath(folder).strip("/").split("/") if _is_link(folder) else names
        names = names[:-1]
    return f"file:///{quote_path('/'.join(names))}"


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
    """The local path of a `file://` URI; None for any other URI, and for a part of a file (`file:///…/shard.tar#member.jpg`).

    Raises `InvalidInput` for what is no URI.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InvalidInput(f"URI {uri!r}: {error}; expected a path, or a URI such as file:///pictures/a.png") from error
    if parts.scheme != "file" or parts.fragment:
        return None
    return Path(unquote(parts.path, errors="surrogateescape"))


def point_id(uri: str) -> str:
    """UUIDv5 of a canonical URI: indexing the same picture again overwrites its point."""
    return str(uuid.uuid5(_NAMESPACE, uri))


def check_field_name(name: str) -> str:
    """Accept a metadata column as a payload field, or raise `MetadataError`."""
    if not name:
        raise MetadataError("a metadata column has no name; give every column a header")
    if name.startswith("_"):
        raise MetadataError(
            f"metadata column {name!r}: names that begin with an underscore are Semblant's own; rename the column"
        )
    if any(character in name for character in '."[]') or not name.isprintable():
        raise MetadataError(
            f"metadata column {name!r}: dots, brackets, quotes and control characters address nested keys; rename it"
        )
    return name


QUANTIZATIONS = ("scalar", "binary", "turbo")


@dataclass(frozen=True)
class StorageOptions:
    """How a generation keeps the dense vectors: for collections that do not fit into memory.

    Attributes:
        quantize: None, `scalar` (8 bits a number), `turbo` (4 bits) or `binary` (1 bit). The search walks small copies of the
            vectors, which stay in memory, and scores what it found by the originals, so that scores stay cosines.
        on_disk: the originals, the graph and the payload indexes are read from disk when they are needed.
    """

    quantize: str | None = None
    on_disk: bool = False

    def __post_init__(self) -> None:
        if self.quantize is not None and self.quantize not in QUANTIZATIONS:
            raise InvalidInput(f"quantization {self.quantize!r}: expected one of {', '.join(QUANTIZATIONS)}, or none")

    def to_json(self) -> dict[str, Any]:
        """The value of `storage` in a manifest."""
        return {"quantize": self.quantize, "on_disk": self.on_disk}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StorageOptions:
        """The inverse of `to_json`."""
        return cls(quantize=data["quantize"], on_disk=bool(data["on_disk"]))


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
    orb: Mapping[str, Any] | None = None
    created_at: str = ""
    storage: StorageOptions = StorageOptions()

    @property
    def dim(self) -> int:
        """Numbers in the dense vector."""
        return self.encoder.dim

    def with_fields(self, fields: Mapping[str, FieldType]) -> Manifest:
        """A copy that knows more payload fields; raises `MetadataError` where one changes its type."""
        for name, kind in fields.items():
            known = self.fields.get(name)
            if known is not None and known != kind:
                raise MetadataError(
                    f"metadata field {name!r} is {kind.value}, but collection {self.collection!r} holds it as {known.value}; "
                    "convert the column, or build a new generation with --rebuild"
                )
        return replace(self, fields={**self.fields, **fields})

    def to_json(self) -> dict[str, Any]:
        """The content of `manifest.json`, and of a server collection's metadata."""
        return {
            "format_version": FORMAT_VERSION,
            "collection": self.collection,
            "generation": self.generation,
            "encoder_fingerprint": self.encoder_fingerprint,
            "encoder": self.encoder.to_json(),
            "fields": {name: kind.value for name, kind in self.fields.items()},
            "orb": dict(self.orb) if self.orb is not None else None,
            "created_at": self.created_at,
            "storage": self.storage.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """The inverse of `to_json`; raises `NotADatabase` on another format version or missing facts."""
        if data.get("format_version") != FORMAT_VERSION:
            raise NotADatabase(
                f"collection format version {data.get('format_version')!r}: this Semblant reads version {FORMAT_VERSION}; "
                "index again into a new database, or use the Semblant that wrote it"
            )
        try:
            return cls(
                collection=str(data["collection"]),
                generation=str(data["generation"]),
                encoder_fingerprint=str(data["encoder_fingerprint"]),
                encoder=EncoderCard.from_json(data["encoder"]),
                fields={str(name): FieldType(kind) for name, kind in data["fields"].items()},
                orb=dict(data["orb"]) if data.get("orb") is not None else None,
                created_at=str(data["created_at"]),
                storage=StorageOptions.from_json(data["storage"]) if "storage" in data else StorageOptions(),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotADatabase(f"the collection's manifest is incomplete: {error!r}; index again") from error


def check_collection_name(name: str) -> str:
    """Accept a collection name (letters, digits, `-`, `_`, at most 100), or raise `InvalidInput`."""
    if not name or len(name) > 100 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise InvalidInput(f"collection name {name!r}: expected 1 to 100 letters, digits, '-' or '_'")
    return name
