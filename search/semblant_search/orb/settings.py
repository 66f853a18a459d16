"""How ORB features are extracted: data that travels with a collection, so that index and query cannot drift apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from semblant_search.errors import InvalidInput
from semblant_search.images import size_within
from semblant_search.json_models import read_model, write_model

__all__ = ["OrbSettings"]

_RANGES: dict[str, tuple[float, float]] = {
    "features": (1, 4096),
    "query_features": (1, 4096),
    "longest_side": (32, 1024),
    "grow_to": (1, 1024),
    "grow_at_most": (1, 8),
    "smallest": (1, 1024),
    "levels": (1, 16),
    "scale_factor": (1.05, 2.0),
    "fast_threshold": (1, 100),
    "faint_threshold": (1, 100),
    "edge": (3, 64),
    "grid": (1, 32),
    "thumbnail": (0, 256),
    "least_side": (1, 1024),
}
_BEFORE: dict[str, int] = {"thumbnail": 0, "least_side": 1}
"""Settings that came later: what a collection that does not name them was indexed with."""


@dataclass(frozen=True)
class OrbSettings:
    """Settings of ORB extraction. A collection keeps them in its manifest; all its pictures and queries use the same.

    Attributes:
        features: most features kept of an indexed picture; each takes `FEATURE_BYTES` (36) bytes in the store,
            so that the default of 224 stays under 8 KB (8,064 bytes).
        query_features: most features taken from a query.
        longest_side: pictures are shrunk to this many pixels before extraction (`images.to_grey`).
        grow_to, grow_at_most: smaller pictures are enlarged towards `grow_to` pixels on their longest side, at most
            `grow_at_most` times, and by a power of `scale_factor`, so that the pyramid of a crop meets that of the whole.
        smallest: the longest side that every picture is enlarged to, as many times as it takes; a 28×28 picture has hardly
            a key point otherwise.
        levels, scale_factor: ORB's pyramid: each level is `scale_factor` times smaller than the one before.
        fast_threshold: least contrast of a corner against its ring, in grey levels.
        faint_threshold: the same for a smooth picture, where the first finds less than a quarter of the features wanted.
        edge: pixels at the border of each level where no key point is taken.
        grid: the picture is cut into `grid` × `grid` cells, and the strongest key points of each go first.
        thumbnail: longest side of the grey thumbnail that is kept with the features, so that what a match lays over each other
            can be compared; 0 keeps none. At 64, 3.5 KB a photograph.
        least_side: pictures whose longest side has fewer pixels get no features. Of photographs 28 pixels wide, a third of
            the crops of half their area were not proven any more, at 40 one in eight, at 48 one in 14, at 64 one in 25.
    """

    features: int = 224
    query_features: int = 400
    longest_side: int = 480
    grow_to: int = 320
    grow_at_most: float = 2.0
    smallest: int = 112
    levels: int = 8
    scale_factor: float = 1.25
    fast_threshold: int = 16
    faint_threshold: int = 5
    edge: int = 12
    grid: int = 6
    thumbnail: int = 64
    least_side: int = 48

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise InvalidInput(f"ORB setting {name} = {value!r}: expected a number from {low} to {high}")

    def grey_size(self, width: int, height: int) -> tuple[int, int]:
        """`(width, height)` of the grey picture that `images.to_grey` makes of a picture: the pixels that features lie in."""
        return size_within((width, height), self.longest_side)

    def too_small(self, width: int, height: int) -> bool:
        """Whether a picture of so many pixels gets no features."""
        return max(width, height) < self.least_side

    def to_json(self) -> dict[str, Any]:
        """The form that is stored in a collection's manifest."""
        return write_model(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> OrbSettings:
        """The inverse of `to_json`, also of an older version's; raises `InvalidInput` on missing, unknown or wrong values."""
        if not isinstance(data, Mapping):
            raise InvalidInput(f"ORB settings {data!r}: expected a JSON object; index again")
        names = {item.name for item in fields(cls)}
        data = {**_BEFORE, **data}
        if set(data) != names:
            raise InvalidInput(
                f"ORB settings {dict(data)!r}: expected exactly {', '.join(sorted(names))}; "
                "index again, or use the Semblant that wrote them"
            )
        return read_model(cls, data, what="the ORB settings", error=InvalidInput, advice="index again")
