"""What an indexing job is told."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semblant_search.collection import FieldType, StorageOptions, check_collection_name
from semblant_search.errors import InvalidInput
from semblant_search.images import DEFAULT_MAX_PIXELS
from semblant_search.orb import OrbSettings
from semblant_search.sources import check_source_name
from semblant_search.store import RetryPolicy
from semblant_search.store.names import without_password
from semblant_search.store.open import DEFAULT_TIMEOUT

from .sources.selection import Selection, checked_frames

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENGINES", "Duplicates", "IndexJob", "cores", "patient"]

ENGINES = ("local", "ray")


class Duplicates(str, Enum):
    """What becomes of pictures that are byte for byte the same."""

    KEEP = "keep"
    """Each has a point of its own."""
    FLAG = "flag"
    """Each has a point; all but the first carry `_duplicate_of`, the URI of the first."""
    MERGE = "merge"
    """The first has a point for all; it carries `_uris`."""


_RANGES = (
    ("workers", 1, 512),
    ("threads", 1, 512),
    ("batch", 1, 4096),
    ("max_pixels", 1, 2**31),
    ("keep_generations", 0, 100),
)


@dataclass(frozen=True)
class IndexJob:
    """One run of the indexer. Validated on construction; whether files and servers are there is found out by `run`.

    Attributes:
        source: a folder, a list (`.csv`, `.tsv`, `.jsonl`, `.parquet`), a `.tar` or a pattern of several, or the URL of one.
        encoder: path of `encoder.onnx`; None takes the one that the collection was built with.
        db: a directory (made if missing) or the URL of a Qdrant server.
        collection: its name.
        source_name: what the collection calls the source; None takes the name that it has, for a new one that of its folder or
            file.
        include, exclude, hidden, include_system: which files of a folder are taken; see `sources.Selection`.
        frames: of files with several pictures (pages, frames, films) the `first`, `all`, or so many, evenly spread.
        metadata: table about the pictures of a folder; None takes the one that was given the last time, or else
            `metadata.csv`, `.jsonl` or `.parquet` in the folder, in folders below, or beside it.
        find_metadata: without it, and where `metadata` is None, no table is read, and what tables said is taken away.
        file_column: the column of a table that names the picture; None takes one of the usual names.
        fields: declared types of metadata fields; all others are inferred.
        orb: settings of ORB extraction, or None for a collection without ORB vectors.
        duplicates: what becomes of pictures that are byte for byte the same.
        rebuild: build a new generation beside the serving one, and switch to it when it is complete.
        keep_generations: older generations that are kept for a rollback after a new one serves.
        exif: add what cameras wrote into pictures (`exif.EXIF_FIELDS`); it reaches pictures that are indexed from now on.
        prune: delete the points of pictures that the source no longer holds, after a complete scan.
        prune_limit: largest share of the source's pictures that may be deleted so, 0–1; were it more, none is.
        retry: look again at pictures that failed before, although their files did not change.
        verify: tell whether pictures are unchanged by their contents, not by size and time of their files.
        max_pixels: larger pictures are rejected before they are decoded.
        patience: seconds that decoding one picture may take.
        engine: `local`, or `ray` to run the stages on a Ray cluster; the latter writes to a server.
        workers: decode processes; None takes one for each core.
        threads: ONNX Runtime's threads; None takes one for each core.
        batch: most pictures that are decoded and encoded together; None chooses by the encoder's picture size.
        api_key: of the server.
        timeout: seconds that one request to the server may take.
        storage: how a new generation keeps its vectors (quantized, on disk); None takes plain vectors in memory for a new
            collection, and leaves an existing one as it is.
        state: folder of the ledger; None keeps it in the database directory, or for a server in the user's state folder.
        seed: of the sample that the visual vocabulary is trained on.
        wait: seconds to wait for the end of another job on the collection; 0 is none.
    """

    source: str
    encoder: Path | None
    db: str = field(repr=False)  # it may hold a password
    collection: str = "images"
    source_name: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    include_system: bool = False
    frames: str | int = "first"
    metadata: Path | None = None
    find_metadata: bool = True
    file_column: str | None = None
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    orb: OrbSettings | None = field(default_factory=OrbSettings)
    duplicates: Duplicates = Duplicates.KEEP
    rebuild: bool = False
    keep_generations: int = 1
    exif: bool = False
    prune: bool = False
    prune_limit: float = 0.2
    retry: bool = False
    verify: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    patience: float = 60.0
    engine: str = "local"
    workers: int | None = None
    threads: int | None = None
    batch: int | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    storage: StorageOptions | None = None
    state: Path | None = None
    seed: int = 0
    wait: float = 0.0

    def __post_init__(self) -> None:
        for name in ("encoder", "metadata", "state"):
            value = getattr(self, name)
            object.__setattr__(self, name, Path(value) if value is not None else None)  # text is welcome, too
        for name in ("include", "exclude"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        try:
            object.__setattr__(self, "duplicates", Duplicates(self.duplicates))  # as well
        except ValueError as error:
            kinds = ", ".join(kind.value for kind in Duplicates)
            raise InvalidInput(f"duplicates {self.duplicates!r}: expected one of {kinds}") from error
        check_collection_name(self.collection)
        object.__setattr__(self, "frames", checked_frames(self.frames))
        self.selection  # noqa: B018 - raises where a pattern cannot be used
        for name in ("source", "db"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InvalidInput(f"{name} {getattr(self, name)!r}: expected a path or URL as text")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InvalidInput(f"{name} {value}: expected a number from {low} to {high}")
        if self.engine not in ENGINES:
            raise InvalidInput(f"engine {self.engine!r}: expected one of {', '.join(ENGINES)}")
        if self.engine == "ray" and "://" not in self.db:
            raise InvalidInput(
                f"engine 'ray' with the directory {self.db!r}: an embedded database belongs to one process, and the actors of "
                "Ray are many, on other machines, too; give the URL of a Qdrant server (--db http://…), or use --engine local"
            )
        if self.storage is not None and self.storage.spread and "://" not in self.db:
            raise InvalidInput(
                f"{', '.join(self.storage.spread)} with the directory {self.db!r}: they spread a collection over the nodes of "
                "a Qdrant cluster; give its URL (--db http://…), or leave them out"
            )
        if self.source_name is not None:
            check_source_name(self.source_name)
        if not 0 <= self.prune_limit <= 1:
            raise InvalidInput(f"prune_limit {self.prune_limit}: expected a share from 0 to 1")
        if not 0 <= self.wait < float("inf"):
            raise InvalidInput(f"wait {self.wait}: expected seconds, 0 or more")
        for name in ("patience", "timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} {getattr(self, name)}: expected seconds, more than 0")

    @property
    def selection(self) -> Selection:
        """Which files of a folder are taken."""
        return Selection(self.include, self.exclude, self.hidden, self.include_system)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values, without API key and password; `from_json` makes the job again."""
        data = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "api_key"}
        for name in ("encoder", "metadata", "state"):
            data[name] = str(data[name].absolute()) if data[name] is not None else None
        data["storage"] = self.storage.to_json() if self.storage is not None else None
        data["fields"] = {name: kind.value for name, kind in self.fields.items()}
        data["orb"] = self.orb.to_json() if self.orb is not None else None
        data["db"] = without_password(self.db)
        data["source"] = self.source if "://" in self.source else str(Path(self.source).absolute())
        return {**data, "duplicates": self.duplicates.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], **changes: Any) -> IndexJob:
        """The inverse of `to_json`, with changes. Raises `InvalidInput` on settings of another version."""
        try:
            values = dict(data)
            for name in ("encoder", "metadata", "state"):
                values[name] = Path(values[name]) if values[name] is not None else None
            values["fields"] = {name: FieldType(kind) for name, kind in values["fields"].items()}
            values["orb"] = OrbSettings.from_json(values["orb"]) if values["orb"] is not None else None
            values["storage"] = StorageOptions.from_json(values["storage"]) if values["storage"] is not None else None
            values["duplicates"] = Duplicates(values["duplicates"])
            return cls(**{**values, **changes})
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"the last job's settings cannot be read ({error!r}); give them to semblant index again"
            ) from error

    def batch_size(self, frame_bytes: int) -> int:
        """Pictures in a batch: as told, else as many as make about 8 MB of fitted pixels, at most 256."""
        return self.batch or max(8, min(256, 8_000_000 // frame_bytes))


def patient(timeout: float) -> RetryPolicy:
    """How a job tries again: a request may take all of `timeout` seconds and be lost once, and the job goes on."""
    return RetryPolicy(total_timeout=2 * timeout)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
