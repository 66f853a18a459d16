"""The generation of a collection that serves, handed out to calls, and the next one after a switch."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from .errors import CollectionNotFound, EncoderError, InvalidInput, StoreError, StoreLocked
from .feature_reader import FeatureReader
from .fork_safe import ForkSafeLock
from .images import DEFAULT_MAX_PIXELS
from .lazy_encoder import LazyEncoder
from .orb import CALIBRATION_ASSET
from .querying.background import BACKGROUND_ASSET, LEAST_QUERIES, Background
from .querying.clusters import ClusterCentres, read_centres

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from .collection import FieldType, Manifest
    from .encoder import Encoder
    from .store import Database, Store

__all__ = ["Generation", "Serving", "Settings"]

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_PATIENCE = 10.0
"""Seconds that a change waits for a generation that its job has open still."""
_MEASURED = 5
"""Of how many looks for another generation one compares what this one has measured with what was read of it."""
_CENTRES_SECONDS = 5.0
_NAMING_FIELDS = ("where", "field", "group_by", "order_by")
"""Arguments that name fields."""
_SWITCHES = 3
"""Generations that may go away under one call, one after the other, before it fails."""


@dataclass(frozen=True)
class Settings:
    """How a client uses whatever generation serves.

    Attributes:
        encoder: given by the user, or None for the one that the generation keeps.
        max_pixels: larger pictures are refused.
        threads, providers: of ONNX Runtime; see `Encoder`.
    """

    encoder: str | os.PathLike[str] | bytes | Encoder | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS
    threads: int | None = None
    providers: Sequence[str] | None = None


class Generation:
    """One generation with all that answers need of it; its points, encoder and visual words belong together. Thread-safe.

    Args:
        store: it belongs to this object now.
        settings: of the client.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.max_pixels = settings.max_pixels
        self.encoder = LazyEncoder(store, settings.encoder, threads=settings.threads, providers=settings.providers)
        self.writing = store.writing
        """Held while points or fields are changed that were read before."""
        self.added_noted = False
        """Whether the collection is known to remember that pictures were added through a client."""
        self._lock = ForkSafeLock()
        self._features: FeatureReader | None = None
        self._background: Background | None = None
        self._background_read = False
        self._measured: dict[str, bytes | None] = {}
        self._measured_at = time.monotonic()
        self._centres: tuple[float, ClusterCentres | None] | None = None
        self._users = 1  # `Serving` itself

    @property
    def manifest(self) -> Manifest:
        """What the generation remembers about itself."""
        return self.store.manifest

    @property
    def features(self) -> FeatureReader:
        """Reads features as the collection's indexer did. Raises `StoreError` where it has none."""
        with self._lock:
            if self._features is None:
                self._measured[CALIBRATION_ASSET] = self.store.asset(CALIBRATION_ASSET)
                self._features = FeatureReader(self.store, max_pixels=self.max_pixels)
            return self._features

    @property
    def background(self) -> Background | None:
        """What chance scores here; None of a collection that is too small, or that an older version indexed."""
        with self._lock:
            if not self._background_read:
                data = self._measured[BACKGROUND_ASSET] = self.store.asset(BACKGROUND_ASSET)
                read = None if data is None else Background.from_bytes(data)
                self._background = read if read is not None and read.queries >= LEAST_QUERIES else None
                self._background_read = True
            return self._background

    def look_at_measured(self, every: float) -> None:
        """Notice that a job measured anew what chance does in this generation, which grew; at most once in `every` seconds."""
        if time.monotonic() - self._measured_at < every:
            return
        self._measured_at = time.monotonic()
        read = dict(self._measured)
        changed = {name for name, data in read.items() if self.store.asset(name) != data}
        with self._lock:
            if CALIBRATION_ASSET in changed:
                self._features = None
            if BACKGROUND_ASSET in changed:
                self._background_read = False

    @property
    def centres(self) -> ClusterCentres | None:
        """Where the clusters lie, read again now and then: people make others while a generation serves."""
        with self._lock:
            now = time.monotonic()
            if self._centres is None or now - self._centres[0] > _CENTRES_SECONDS:
                self._centres = (now, read_centres(self.store))
            return self._centres[1]

    def fields_for(self, records: Iterable[Mapping[str, Any]]) -> Mapping[str, FieldType]:
        """The types of the fields, read again where records have one that is not known: another process may have made it."""
        if any(name not in self.manifest.fields for record in records for name in record):
            self.store.refresh()
        return self.manifest.fields

    def has_others_than(self, fields: Mapping[str, FieldType]) -> bool:
        """Whether the collection has other fields than those, read again where it is not known."""
        if self.manifest.fields == fields:
            self.store.refresh()
        return self.manifest.fields != fields

    def keep(self) -> bool:
        """Hold it open for a call; False where it is closed already."""
        with self._lock:
            self._users += self._users > 0
            return self._users > 0

    def release(self) -> None:
        """Let go of it; closed once nobody holds it."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self.store.close()


class Serving:
    """Follows a collection from generation to generation. Each call works with one of them from its beginning to its end.

    Args:
        database: where the collection is.
        collection: its name.
        settings: of the client; a generation of another encoder than theirs uses the one that it keeps.
        refresh: seconds after which it is looked whether another generation serves, at the next call.

    Raises:
        CollectionNotFound, StoreError: as `Database.open`.
        EncoderMismatch, EncoderError: the given encoder is not the collection's.
    """

    def __init__(self, database: Database, collection: str, settings: Settings, *, refresh: float) -> None:
        self._database = database
        self._collection = collection
        self._settings = settings
        self._refresh = refresh
        self._lock = ForkSafeLock()
        self._looking = ForkSafeLock()
        self._generation: Generation | None = self._open(None, settings)
        self._looked = time.monotonic()

    @property
    def closed(self) -> bool:
        """Whether nothing is handed out any more."""
        return self._generation is None

    def call(self, ask: Callable[[Generation], _T]) -> _T:
        """What `ask` returns of the serving generation.

        Asked again of the next one, where this one was deleted meanwhile, and of this one, where it refused what may be about a
        field that others have just made: whoever made clusters asks for them at once.
        """
        left = _SWITCHES
        while True:
            left -= 1
            generation = self._kept()
            fields = generation.manifest.fields
            try:
                return ask(generation)
            except CollectionNotFound:
                self._look(now=True)
                if left == 0 or self._generation in (generation, None):
                    raise
            except InvalidInput as error:
                if left == 0 or error.argument not in _NAMING_FIELDS or not generation.has_others_than(fields):
                    raise
            finally:
                generation.release()

    def change(self, make: Callable[[Generation], _T]) -> _T:
        """What `make` returns, which changes the serving generation.

        Made again in the next one where that began to serve meanwhile, so that no change is lost in a generation that serves
        no more: `make` may be called several times.

        Raises:
            StoreLocked: a job that just published the next generation keeps it to itself.
        """
        made = ""

        def noting(generation: Generation) -> _T:
            nonlocal made
            made = generation.manifest.generation
            return make(generation)

        until = time.monotonic() + _PATIENCE
        while True:
            result = self.call(noting)
            serving = self._database.collections().get(self._collection)
            if serving in (made, None):
                return result
            while time.monotonic() < until:
                self._look(now=True)
                if self._generation is None or self._generation.manifest.generation != made:
                    break
                time.sleep(0.05)
            else:
                raise StoreLocked(
                    f"collection {self._collection!r} was rebuilt meanwhile, and its job has generation {serving!r} "
                    f"open still; what was written is in generation {made!r}: write it again once the job is done"
                )

    @contextmanager
    def current(self) -> Iterator[Generation]:
        """The serving generation, which stays open inside the block. Raises `StoreError` after closing."""
        generation = self._kept()
        try:
            yield generation
        finally:
            generation.release()

    def close(self) -> None:
        """Hand out nothing any more; what is in use closes with the last call. Closing twice is no error."""
        with self._lock:
            generation, self._generation = self._generation, None
        if generation is not None:
            generation.release()

    def _kept(self) -> Generation:
        """The serving generation, to be released."""
        if time.monotonic() - self._looked >= self._refresh:
            self._look()
        while True:
            generation = self._generation
            if generation is None:
                raise StoreError("this SearchClient is closed; make a new one")
            if generation.keep():  # otherwise another one took its place just now
                return generation

    def _following(self, name: str) -> Generation:
        try:
            return self._open(name, self._settings)
        except EncoderError:  # the user's own was that of the generation before
            return self._open(name, replace(self._settings, encoder=None))

    def _open(self, name: str | None, settings: Settings) -> Generation:
        store = self._database.open(self._collection, name)
        try:
            return Generation(store, settings)
        except BaseException:
            store.close()
            raise

    def _look(self, *, now: bool = False) -> None:
        """Open the generation that serves by now. Other threads go on with the present one meanwhile, unless it is gone."""
        if not self._looking.acquire(blocking=now):
            return
        try:
            self._looked = time.monotonic()
            generation = self._generation
            if generation is None:
                return
            name = self._database.collections().get(self._collection)
            if name == generation.manifest.generation:
                generation.store.refresh()
                generation.look_at_measured(self._refresh * _MEASURED)
            if name in (None, generation.manifest.generation):
                return
            try:
                following = self._following(name)
            except (StoreLocked, CollectionNotFound):  # the job that made it has it open still, or there is yet another one
                return
            with self._lock:
                if self._generation is generation:
                    self._generation, following = following, generation
            following.release()
            if self._generation is not None:
                _logger.info("collection %r of %s: %s serves now", self._collection, self._database.location, name)
        finally:
            self._looking.release()
