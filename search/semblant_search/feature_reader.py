"""ORB features on the query's side: the collection's settings, vocabulary and calibration, and the features of a picture."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import ImageError, NoFeaturesError, NotIndexed, StoreError
from .images import DEFAULT_MAX_PIXELS, open_picture, to_grey
from .images.parts import part
from .orb import (
    CALIBRATION_ASSET,
    Calibration,
    Features,
    OrbSettings,
    Verifier,
    Vocabulary,
    extract,
    unpack,
    unpack_thumbnail,
)
from .querying.regions import region_of
from .querying.resolving import indexed_bytes

if TYPE_CHECKING:
    from .images import ImageSource
    from .querying.regions import Region
    from .querying.resolving import ResolvedQuery
    from .store import Record, ScoredRecord, Store

__all__ = ["VOCABULARY_ASSET", "FeatureReader", "PictureFeatures"]

VOCABULARY_ASSET = "vocabulary.npz"
"""The name under which a collection keeps the visual vocabulary that its `orb` vectors are made of."""


@dataclass(frozen=True, eq=False)
class PictureFeatures:
    """The features of a picture, and how their grey pixels lie in the picture itself.

    Attributes:
        features: in pixels of the grey picture that they were extracted from.
        grey: `(width, height)` of that picture.
        box: `(x, y, width, height)` of the part that was looked at, in pixels of the whole picture.
        pixels: uint8 `[h, w]`, the grey picture itself, where it was decoded and wholly looked at.
        thumbnail: uint8 `[h, w]`, the grey picture in a few pixels, where it is one of the collection and keeps one.
        mirrored: the features are those of the picture's mirror image.
    """

    features: Features
    grey: tuple[int, int]
    box: tuple[float, float, float, float]
    pixels: np.ndarray | None = field(default=None, repr=False)
    thumbnail: np.ndarray | None = field(default=None, repr=False)
    mirrored: bool = False

    @property
    def to_picture(self) -> np.ndarray:
        """float64 `[3, 3]`: places of features to places in the whole picture.

        Features call the centre of the first pixel 0, 0; in the picture that is its top left corner.
        """
        x, y, width, height = self.box
        across, down = width / self.grey[0], height / self.grey[1]
        there = np.array([[across, 0, x + across / 2], [0, down, y + down / 2], [0, 0, 1]], np.float64)
        back = np.array([[-1, 0, self.grey[0] - 1], [0, 1, 0], [0, 0, 1]], np.float64)
        return there @ back if self.mirrored else there


class FeatureReader:
    """Extracts features as one collection's indexer did, of pictures of `max_pixels` at most.

    Raises:
        NotIndexed: the collection was indexed without ORB.
        StoreError: its vocabulary is missing or another one.
    """

    settings: OrbSettings
    vocabulary: Vocabulary
    calibration: Calibration

    def __init__(self, store: Store, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        manifest = store.manifest
        if manifest.orb is None:
            raise NotIndexed(
                f"collection {manifest.collection!r} was indexed without ORB features; "
                "index it again with them (semblant index … --rebuild) to search by details"
            )
        data = store.asset(VOCABULARY_ASSET)
        if data is None:
            raise StoreError(f"collection {manifest.collection!r} has lost its visual vocabulary; run `semblant vocabulary`")
        self.settings = OrbSettings.from_json(manifest.orb.get("settings"))
        self.vocabulary = Vocabulary.from_bytes(data)
        words = manifest.orb.get("vocabulary")
        if self.vocabulary.fingerprint != words:
            raise StoreError(
                f"collection {manifest.collection!r} holds visual words of vocabulary {str(words)[:12]}…, "
                f"but keeps vocabulary {self.vocabulary.fingerprint[:12]}…; run `semblant vocabulary`"
            )
        measured = store.asset(CALIBRATION_ASSET)
        self.calibration = Calibration.general() if measured is None else Calibration.from_bytes(measured)

    def of_record(self, record: Record) -> PictureFeatures:
        """The stored features of an indexed picture; without any where it has none."""
        width, height = int(record.payload["_width"]), int(record.payload["_height"])
        features, thumbnail = Features.empty(), None
        if record.features is not None:
            features, thumbnail = unpack(record.features), unpack_thumbnail(record.features)
        return PictureFeatures(features, self.settings.grey_size(width, height), (0, 0, width, height), thumbnail=thumbnail)

    def of_picture(self, source: ImageSource, region: Region | None = None) -> PictureFeatures:
        """The features of a decoded picture, or of a region of it: `(x, y, width, height)` in pixels, or a mask `[h, w]`.

        Raises:
            ImageError: the picture cannot be decoded.
            InvalidInput: a region that has no area or lies outside the picture.
        """
        side = self.settings.longest_side
        least = (side, side) if region is None else None
        opened = open_picture(source, max_pixels=self._max_pixels, at_least=least, luma=True)
        picture = opened.image  # of fewer pixels than the file, where a large JPEG was decoded at a reduced scale
        mask: np.ndarray | None = None
        box = (0.0, 0.0, float(opened.width), float(opened.height))
        if region is not None:
            mask, box = region_of(region, opened.width, opened.height)
            left, top, width, height = (int(value) for value in box)
            picture = part(picture, (left, top, left + width, top + height))
        grey = to_grey(picture, longest_side=side)
        features = extract(grey, self.settings, limit=self.settings.query_features)
        seen = PictureFeatures(features, (grey.shape[1], grey.shape[0]), box, grey if mask is None else None)
        return seen if mask is None else _inside(seen, mask)

    def grey_of(self, record: Record | ScoredRecord) -> np.ndarray | None:
        """The grey pixels of an indexed picture, uint8 `[h, w]`; None where its file is not at hand as it was indexed."""
        data = indexed_bytes(record, self._max_pixels)
        if data is None:
            return None
        side = self.settings.longest_side
        try:
            opened = open_picture(data, max_pixels=self._max_pixels, at_least=(side, side), luma=True)
        except ImageError:
            return None
        return to_grey(opened.image, longest_side=side)

    def mirror(self, seen: PictureFeatures) -> PictureFeatures | None:
        """The features of the mirror image, which are not the mirrored features; None where the pixels are not at hand."""
        if seen.pixels is None:
            return None
        flipped = np.ascontiguousarray(seen.pixels[:, ::-1])
        features = extract(flipped, self.settings, limit=self.settings.query_features)
        return replace(seen, features=features, pixels=flipped, mirrored=True)

    def verifier(self, query: PictureFeatures, *, shared_parts: bool = False) -> Verifier:
        """What compares a query with candidates of the collection."""
        pixels = query.thumbnail if query.pixels is None else query.pixels
        return Verifier(
            query.features, query.grey, self.calibration, pixels, mirrored=query.mirrored, shared_parts=shared_parts
        )

    def of_resolved(self, query: ResolvedQuery, region: Region | None = None) -> PictureFeatures:
        """Of a queried picture: the stored ones where it is one of the collection.

        A region of it is cut from its file, which shows more details than are stored, but for a file that is gone or has
        changed since: the region is of the picture that was indexed, and is taken from what was stored of it.
        """
        if query.record is None:
            return self.of_picture(query.source, region)
        if region is not None and (data := indexed_bytes(query.record, self._max_pixels)) is not None:
            return self.of_picture(data, region)
        seen = self.of_record(query.record)
        return seen if region is None else _inside_region(seen, region)

    def require(self, seen: PictureFeatures, name: str = "the picture") -> PictureFeatures:
        """The same, or `NoFeaturesError`, which begins with the picture's name, where there is nothing to ask with."""
        if len(seen.features) == 0:
            raise NoFeaturesError(
                f"{name} has no ORB features (it is flat, smooth or very small), so there are no details to search by; "
                "search by its whole look instead"
            )
        return seen


def _inside_region(seen: PictureFeatures, region: Region) -> PictureFeatures:
    width, height = (int(value) for value in seen.box[2:])
    mask, (left, top, wide, high) = region_of(region, width, height)
    if mask is None:
        mask = np.zeros((height, width), bool)
        mask[int(top) : int(top + high), int(left) : int(left + wide)] = True
    return _inside(seen, mask)


def _inside(seen: PictureFeatures, mask: np.ndarray) -> PictureFeatures:
    points = seen.features.keypoints[:, :2] @ seen.to_picture[:2, :2].T + seen.to_picture[:2, 2]
    columns = np.clip(points[:, 0], 0, mask.shape[1] - 1).astype(np.int64)
    rows = np.clip(points[:, 1], 0, mask.shape[0] - 1).astype(np.int64)
    return PictureFeatures(seen.features.take(mask[rows, columns]), seen.grey, seen.box)
