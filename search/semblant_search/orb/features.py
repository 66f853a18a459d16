"""ORB features of a picture: FAST corners over a pyramid, spread over the picture, each with a rotated BRIEF descriptor.

Rublee et al., "ORB: an efficient alternative to SIFT or SURF" (ICCV 2011), as OpenCV implements it; the spreading is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_search.errors import ImageError, MissingExtra

from .settings import OrbSettings

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["DESCRIPTOR_BYTES", "Features", "extract"]

DESCRIPTOR_BYTES = 32
_CANDIDATES = 5
"""Key points that are spread, for each that is kept. Of two, as many queries find theirs, but the few strong corners of what
icons of one family share leave none for what they do not, and these would be proven to be each other."""


@dataclass(frozen=True, eq=False)
class Features:
    """Key points and their descriptors, strongest first within each pyramid level's share.

    Attributes:
        keypoints: float32 `[n, 4]`: x, y (pixels of the picture they were extracted from, centre of the top left pixel
            is 0, 0), size (diameter of the described patch, pixels), angle (degrees, 0–360, clockwise).
        descriptors: uint8 `[n, 32]`, 256 bits to be compared by Hamming distance.
    """

    keypoints: np.ndarray
    descriptors: np.ndarray

    def __len__(self) -> int:
        return len(self.descriptors)

    @classmethod
    def empty(cls) -> Features:
        """The features of a flat picture: none."""
        return cls(np.empty((0, 4), np.float32), np.empty((0, DESCRIPTOR_BYTES), np.uint8))

    def take(self, rows: np.ndarray) -> Features:
        """The features of these rows (indices or a mask)."""
        return Features(self.keypoints[rows], self.descriptors[rows])


def load_cv2() -> ModuleType:
    """OpenCV, loaded on first use; raises `MissingExtra` where it is not installed.

    How many threads it takes is the program's own affair: `cv2.setNumThreads`, or the variable `OPENCV_FOR_THREADS_NUM`.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("searching by ORB features", "semblant-search[orb]") from error
    return cv2


def extract(grey: np.ndarray, settings: OrbSettings | None = None, *, limit: int | None = None) -> Features:
    """ORB features of a grey picture.

    Args:
        grey: uint8 `[h, w]`, from `images.to_grey(image, longest_side=settings.longest_side)`.
        settings: those of the collection; None takes the defaults.
        limit: most features to return; None takes `settings.features`. Queries take `settings.query_features`.

    Returns:
        At most `limit` features; none for a flat picture or one smaller than `settings.least_side`, which is no error.

    Raises:
        MissingExtra: OpenCV is not installed.
        ImageError: not a grey uint8 picture, or OpenCV refuses it.
    """
    settings = settings or OrbSettings()
    limit = settings.features if limit is None else limit
    if grey.dtype != np.uint8 or grey.ndim != 2 or grey.size == 0:
        raise ImageError(
            f"array of {grey.dtype} {list(grey.shape)}: expected a grey picture, uint8 [h, w]", reason="unsupported"
        )
    cv2 = load_cv2()
    height, width = grey.shape
    if settings.too_small(width, height):
        return Features.empty()
    scale = _growth(settings, max(height, width))
    try:
        grey = np.ascontiguousarray(grey)
        if scale > 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC)
        if min(grey.shape) <= 2 * settings.edge:
            return Features.empty()
        detector = _detector(cv2, settings, min(grey.shape), _CANDIDATES * limit)
        points, descriptors = detector.detectAndCompute(grey, None)
        if len(points) < settings.features // 4 and settings.faint_threshold < settings.fast_threshold:
            detector.setFastThreshold(settings.faint_threshold)
            points, descriptors = detector.detectAndCompute(grey, None)
    except cv2.error as error:
        raise ImageError(f"grey picture of {width}×{height}: no features: {error}", reason="unsupported") from error
    if descriptors is None or len(points) == 0:
        return Features.empty()
    places: np.ndarray = cv2.KeyPoint.convert(points)  # [n, 2]; much faster than asking each point
    response = np.fromiter([point.response for point in points], np.float32, len(points))
    octave = np.fromiter([point.octave for point in points], np.int64, len(points))
    keep = _spread(places, response, octave, limit, settings, grey.shape)
    patches = np.array([(points[row].size, points[row].angle) for row in keep.tolist()], np.float32)
    keypoints = np.hstack([places[keep], patches])
    # Pixel centres: enlarging by s moves the centre of pixel x to s·(x + ½) − ½.
    ratio = np.array([grey.shape[1] / width, grey.shape[0] / height], np.float32)
    keypoints[:, :2] = (keypoints[:, :2] + 0.5) / ratio - 0.5
    keypoints[:, 2] /= ratio.max()
    return Features(keypoints, descriptors[keep])


def _growth(settings: OrbSettings, longest: int) -> float:
    wanted = max(min(settings.grow_at_most, settings.grow_to / longest), settings.smallest / longest, 1.0)
    return float(settings.scale_factor ** np.rint(np.log(wanted) / np.log(settings.scale_factor)))


def _detector(cv2: ModuleType, settings: OrbSettings, shortest: int, candidates: int) -> Any:
    """An ORB detector whose smallest pyramid level still has room for a patch."""
    deepest = np.log(max(1.0, shortest / (2 * settings.edge + 8))) / np.log(settings.scale_factor)
    return cv2.ORB_create(
        nfeatures=candidates,
        scaleFactor=settings.scale_factor,
        nlevels=int(min(settings.levels, 1 + deepest)),
        edgeThreshold=settings.edge,
        fastThreshold=settings.fast_threshold,
    )


def _spread(
    places: np.ndarray,
    response: np.ndarray,
    octave: np.ndarray,
    limit: int,
    settings: OrbSettings,
    shape: tuple[int, int],
) -> np.ndarray:
    """Indices of at most `limit` key points, taken in turns from the cells of a grid and the levels of the pyramid.

    Round r holds the r-th strongest of every (level, cell); rounds are filled one after the other, so that one texture
    cannot use up the whole budget, and coarse levels, which half-size copies match, get their share.
    """
    if len(places) <= limit:
        return np.arange(len(places))
    cell = np.minimum((places / (shape[1], shape[0]) * settings.grid).astype(np.int64), settings.grid - 1)
    group = (octave * settings.grid + cell[:, 1]) * settings.grid + cell[:, 0]
    order = np.lexsort((-response, group))
    grouped = group[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    return np.lexsort((-response, turn))[:limit]
