"""From what is known of a picture to the point that a collection keeps of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from semblant_search.collection import point_id
from semblant_search.orb import as_stored, unpack
from semblant_search.store import Point, SparseVector

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from semblant_search.collection import Manifest
    from semblant_search.encoder import Vectors
    from semblant_search.orb import Vocabulary

__all__ = ["PictureFacts", "as_kept", "now", "payload_of", "point_of", "words_of"]


class PictureFacts(NamedTuple):
    """What is noted of a picture's file.

    Attributes:
        sha256: of the file, 64 hexadecimal digits.
        size: of the file, in bytes.
        width, height: pixels as it is meant to be seen.
        format: Pillow's name (`PNG`, `JPEG`), or None for pixels.
        exif: `_taken_at`, `_camera` and `_place`, as far as they are there.
    """

    sha256: str
    size: int
    width: int
    height: int
    format: str | None
    exif: Mapping[str, Any] | None = None


def now() -> str:
    """This moment as RFC 3339 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def payload_of(uri: str, metadata: Mapping[str, Any], facts: PictureFacts, moment: str) -> dict[str, Any]:
    """The payload of a picture: its owner's metadata, then Semblant's own fields (`collection.RESERVED_FIELDS`)."""
    return {
        **metadata,
        "_uri": uri,
        "_sha256": facts.sha256,
        "_width": facts.width,
        "_height": facts.height,
        "_format": facts.format,
        "_bytes": facts.size,
        "_indexed_at": moment,
        **(facts.exif or {}),
    }


def words_of(features: np.ndarray | None, vocabulary: Vocabulary | None) -> SparseVector | None:
    """The visual words of packed features; None without features or vocabulary."""
    if features is None or vocabulary is None or not len(features):
        return None
    return vocabulary.sparse(unpack(features))


def point_of(
    uri: str,
    payload: Mapping[str, Any],
    vectors: Vectors,
    row: int,
    words: SparseVector | None = None,
    features: np.ndarray | None = None,
) -> Point:
    """The point of a picture whose vectors are a row of those that the encoder made."""
    cells = None if vectors.cells is None else vectors.cells[row]
    return Point(point_id(uri), vectors.image[row], payload, words, features, cells)


def as_kept(point: Point, manifest: Manifest) -> Point:
    """The point with its features in the form that its collection keeps, which older versions' keep in another one."""
    if point.features is None or manifest.orb is None:
        return point
    features = as_stored(point.features, manifest.orb["feature_bytes"])
    return point if features is point.features else replace(point, features=features)
