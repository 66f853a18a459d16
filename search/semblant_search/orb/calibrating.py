"""Measure the calibration of a collection: its own pictures are asked for, and they and what is the same do not count."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from semblant_search.errors import NotIndexed
from semblant_search.store import SearchRequest, Sparse

from .calibration import Calibration
from .overlap import change_between, share_inside
from .packing import unpack, unpack_thumbnail
from .settings import OrbSettings
from .verify import Verifier
from .weighing import USUAL_DISAGREEMENT, strength

if TYPE_CHECKING:
    from semblant_search.store import Record, Store

    from .overlap import PixelAgreement
    from .verify import Match
    from .vocabulary import Vocabulary

__all__ = ["calibrate"]

_SAMPLE = 128
_SHORTLIST = 24
"""Candidates that each is compared with: half of what a query is, for the strongest are nearly always among these. Of
pages of one form that lie over each other the others are looked at, too: there are those whose rows or columns are shifted."""
_NOTHING = -20.0
"""Strength of a query of which nothing agrees with anything."""
_UNCHANGED = 0.98
"""Correlation of copies that lie over each other, recompressed, shrunk, lit otherwise; drawings in other colours have less."""
_STILL_A_COPY = 2.5
"""Local change (`local_change`) that copies have on thumbnails, too. Most pages of a form with another name have more."""
_ALIKE = 0.86
"""The same of what was moved."""
_WHOLE = 0.8
_EVERYWHERE = 0.95
_SUPPORT = 0.3
_FAMILY = 4
"""Other pictures of the same size and other content that lie over a picture and are like it in all places but one or two: no
copies any more, but pages of one form. Some are so like it that no thumbnail shows their numbers, and these count, too.
Of a picture that is kept in many sizes, hardly as many have one of them."""


def calibrate(store: Store, vocabulary: Vocabulary, *, sample: int = _SAMPLE, shortlist: int = _SHORTLIST) -> Calibration:
    """How strong the strongest lookalike of a picture is, where neither the picture nor a copy of it counts; seconds.

    Ids are hashes, so the first ones in order are a random sample, and the same one each time.

    Args:
        store: a collection with ORB features.
        vocabulary: the collection's.
        sample: pictures that are asked for.
        shortlist: candidates that each is compared with; twice as many where some are pages of its own form.

    Raises:
        NotIndexed: the collection was indexed without ORB features.
    """
    facts = (store.manifest.orb or {}).get("settings")
    if facts is None:
        raise NotIndexed(
            f"collection {store.manifest.collection!r} was indexed without ORB features; "
            "index it again with them (semblant index … --rebuild)"
        )
    settings = OrbSettings.from_json(facts)
    ids = [record.id for record in itertools.islice(store.scroll(fields=["_uri"], batch=sample), sample)]
    found: list[_Strongest] = []
    for record in sorted(store.retrieve(ids, with_features=True), key=lambda record: record.id):
        if record.features is not None:
            found.append(_strongest(store, settings, vocabulary, record, shortlist))
    general = Calibration.general()
    details = general.details.measured([one.details for one in found])
    if not settings.thumbnail:
        return replace(general, details=details, queries=len(found))
    laid_over = general.laid_over.measured([one.laid_over for one in found])
    return Calibration(laid_over, general.pixels.measured([one.pixels for one in found]), details, len(found))


class _Strongest(NamedTuple):
    """How strong a picture's strongest lookalikes are: exactly over it, in any other way, and by details alone."""

    laid_over: float
    pixels: float
    details: float


def _strongest(store: Store, settings: OrbSettings, vocabulary: Vocabulary, record: Record, shortlist: int) -> _Strongest:
    assert record.features is not None
    features = unpack(record.features)
    verifier = Verifier(features, _size(settings, record), None, unpack_thumbnail(record.features))
    near = store.query(SearchRequest(Sparse(vocabulary.sparse(features)), 2 * shortlist + 1, fields=[]))
    others = [hit.id for hit in near if hit.id != record.id]
    found = _Lookalikes(record, verifier)
    for looked_at in (others[:shortlist], others[shortlist:]):
        for other in store.retrieve(looked_at, with_features=True):
            if other.features is not None and other.payload.get("_sha256") != record.payload.get("_sha256"):
                found.compare(other, _size(settings, other))
        if not found.is_family:
            break
    return found.strongest()


class _Lookalikes:
    """The strongest of what a picture was compared with, of each kind."""

    def __init__(self, record: Record, verifier: Verifier) -> None:
        self._record, self._verifier = record, verifier
        self._details = self._laid_over = self._moved = self._copies = _NOTHING
        self._members: set[str] = set()

    @property
    def is_family(self) -> bool:
        """The picture is a page of a form, whose other pages all count, whatever changed."""
        return len(self._members) >= _FAMILY

    def compare(self, other: Record, size: tuple[int, int]) -> None:
        """Compare the picture with another one of this grey size, `(width, height)`, that has features."""
        assert other.features is not None
        small = unpack_thumbnail(other.features)
        match = self._verifier.verify(unpack(other.features), size, small)
        if match is None:
            return
        if not _is_related(match, self._verifier.size, size):
            self._details = max(self._details, strength(match.evidence, match.support, None, match.disagreement))
            if match.pixels is not None and not match.laid_over:
                self._moved = max(self._moved, match.strength)
        if match.pixels is not None and match.laid_over:
            self._lay_over(other, size, small, match, alike=_is_alike(match.pixels))

    def _lay_over(self, other: Record, size: tuple[int, int], small: np.ndarray | None, match: Match, *, alike: bool) -> None:
        """What lies exactly over the picture: a copy of it, which does not count by itself, or another picture."""
        if alike and all(other.payload[side] == self._record.payload[side] for side in ("_width", "_height")):
            self._members.add(str(other.payload.get("_sha256")))
        if alike and not self.is_family and _change(self._verifier, small, size, match) <= _STILL_A_COPY:
            self._copies = max(self._copies, match.strength)
        else:
            self._laid_over = max(self._laid_over, match.strength)

    def strongest(self) -> _Strongest:
        """The strongest of each kind; what seemed copies counts where it is pages of a form."""
        laid_over = max(self._laid_over, self._copies) if self.is_family else self._laid_over
        return _Strongest(laid_over, self._moved, self._details)


def _size(settings: OrbSettings, record: Record) -> tuple[int, int]:
    return settings.grey_size(int(record.payload["_width"]), int(record.payload["_height"]))


def _change(verifier: Verifier, small: np.ndarray | None, size: tuple[int, int], match: Match) -> float:
    assert verifier.pixels is not None
    assert small is not None
    return change_between(verifier.pixels, verifier.size, small, size, match.transform)


def _is_alike(pixels: PixelAgreement) -> bool:
    """Whether what lies over each other may be one picture. A drawing in other colours is none: a stranger may be one, too."""
    return pixels.everywhere >= _EVERYWHERE and pixels.correlation >= _UNCHANGED


def _is_related(match: Match, query: tuple[int, int], candidate: tuple[int, int]) -> bool:
    """Whether one is a part of the other, or turned: all that one of them shows agrees, wherever one looks."""
    if match.pixels is None:
        return match.support >= _SUPPORT and match.disagreement < USUAL_DISAGREEMENT
    return (match.pixels.everywhere >= _EVERYWHERE and match.pixels.correlation >= _ALIKE) and (
        share_inside(match.transform, query, candidate) >= _WHOLE
        or share_inside(np.linalg.inv(match.transform), candidate, query) >= _WHOLE
    )
