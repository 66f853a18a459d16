"""The encoder of a collection: the one that it keeps or the one that the user gives, loaded when it is first needed."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from .encoder import Encoder, encoder_name
from .errors import EncoderError, EncoderMismatch
from .fork_safe import ForkSafeLock

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from .collection import Manifest
    from .store import Store

__all__ = ["ENCODER_ASSET", "LazyEncoder"]

_logger = logging.getLogger(__name__)
ENCODER_ASSET = "encoder.onnx"
"""The name under which a collection keeps its encoder."""


class LazyEncoder:
    """The encoder of one collection. Thread-safe. A given one is checked now, and loaded into ONNX Runtime only by `load`.

    Raises:
        EncoderMismatch: the given encoder is not the one that made the collection's vectors.
        EncoderError: the given file is not an encoder, or a broken one.
    """

    def __init__(
        self,
        store: Store,
        given: str | os.PathLike[str] | bytes | Encoder | None,
        *,
        threads: int | None = None,
        providers: Sequence[str] | None = None,
    ) -> None:
        self._store = store
        self._threads = threads
        self._providers = providers
        self._lock = ForkSafeLock()
        self._encoder: Encoder | None = None
        self._bytes: bytes | None = None
        if isinstance(given, Encoder):
            _check(given.fingerprint, store.manifest, f"encoder {given.card.name!r}")
            self._encoder = given
        elif given is not None:
            self._bytes = _matching_bytes(given, store.manifest)

    def load(self) -> Encoder:
        """The encoder itself. Raises `EncoderError` where the collection does not keep one and none was given."""
        with self._lock:
            if self._encoder is None:
                manifest = self._store.manifest
                data = self._bytes if self._bytes is not None else self._store.asset(ENCODER_ASSET)
                if data is None:
                    raise EncoderError(
                        f"collection {manifest.collection!r} does not keep its encoder; give it with encoder=PATH "
                        f"(--encoder PATH): the file whose SHA-256 begins with {manifest.encoder_fingerprint[:12]}"
                    )
                begun = perf_counter()
                encoder = Encoder(data, threads=self._threads, providers=self._providers)
                _check(encoder.fingerprint, manifest, "the encoder that the database keeps")
                _logger.debug("%r loaded, %.0f ms", encoder, (perf_counter() - begun) * 1000)
                self._encoder, self._bytes = encoder, None
            return self._encoder


def _matching_bytes(given: str | os.PathLike[str] | bytes, manifest: Manifest) -> bytes:
    if isinstance(given, bytes):
        data, name = given, encoder_name(given)
    else:
        name = encoder_name(given)
        try:
            data = Path(given).read_bytes()
        except (OSError, ValueError) as error:
            raise EncoderError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    fingerprint = hashlib.sha256(data).hexdigest()
    if fingerprint != manifest.encoder_fingerprint:
        Encoder(given)  # a file that is no encoder at all, or cut short, says so instead
        _check(fingerprint, manifest, name)
    return data


def _check(fingerprint: str, manifest: Manifest, name: str) -> None:
    if fingerprint != manifest.encoder_fingerprint:
        raise EncoderMismatch(
            f"{name} (SHA-256 {fingerprint[:12]}…) is not the one that made the vectors of collection {manifest.collection!r}: "
            f"{manifest.encoder.name!r} (SHA-256 {manifest.encoder_fingerprint[:12]}…); leave the encoder out to use the one "
            "that the database keeps, or index the pictures again with yours"
        )
