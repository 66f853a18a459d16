"""What the client answers with. Frozen: a result describes one moment of the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .late import Late

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

__all__ = ["FeatureHit", "Hit", "HitGroup", "Picture", "PicturePage", "split_payload"]


@dataclass(frozen=True)
class Picture(Late):
    """A picture of the collection.

    Equal where all of it is, metadata and facts included. Hashable, by all but those two, which are mappings: hits can be kept
    in sets and as keys.

    Attributes:
        id: its point id, a UUID made from the URI.
        uri: where it is: `file:///…` or the URL that was indexed.
        metadata: what its owner says about it, under their own names.
        facts: what Semblant noted when it indexed it: `_width`, `_height`, `_format`, `_bytes`, `_sha256`, `_indexed_at`, ….
        vector: its embedding, float32 `[D]` of unit length; None where it was not asked for. It does not count for equality.
    """

    id: str
    uri: str
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    vector: np.ndarray | None = field(default=None, compare=False, repr=False, kw_only=True)

    @property
    def path(self) -> Path | None:
        """The local file, whether or not it still exists; None for a picture that is not a local file."""
        from .collection import uri_path

        return uri_path(self.uri)

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `--json` prints them."""
        values = {"id": self.id, "uri": self.uri, "metadata": dict(self.metadata), "facts": dict(self.facts)}
        return values if self.vector is None else {**values, "vector": self.vector.tolist()}


@dataclass(frozen=True)
class PicturePage:
    """Some pictures of a collection, one after the other.

    Attributes:
        pictures: in the order that was asked for.
        cursor: text without meaning of its own that `SearchClient.scroll` takes to go on; None where this is the end.
    """

    pictures: Sequence[Picture]
    cursor: str | None = None


@dataclass(frozen=True)
class Hit(Picture):
    """A picture that answers a query.

    Attributes:
        score: the cosine of the two embeddings, from -1 to 1 (the same picture); for a search by features the
            sum of the IDF weights of the visual words that both pictures show, 0 and up, comparable within one query only.
        probability: 0–1, that the likeness is no chance: one minus the share of queries the like of which the collection does
            not hold, and of which the best hit scores as high all the same. Measured by the index job on the collection itself;
            None where it was not, and for searches by region and by several examples.
        copies: how many other pictures are copies of this one and no hits of their own, with `unique=True`; otherwise None.
    """

    score: float = 0.0
    probability: float | None = None
    copies: int | None = field(default=None, kw_only=True)

    def _values_of(self, source: Any) -> Mapping[str, Any]:
        uri, metadata, facts = split_payload(source.payload or {})
        return {"uri": uri, "metadata": metadata, "facts": facts}

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `--json` prints them; the copies only where they were counted."""
        self._complete()  # once, and not for each value
        values = {"score": self.score, "probability": self.probability, **super().to_json()}
        return values if self.copies is None else {**values, "copies": self.copies}


@dataclass(frozen=True)
class HitGroup:
    """Hits that share a value of a field, such as an album.

    Attributes:
        value: of the field.
        hits: the best ones that have it, best first.
    """

    value: str | int | bool
    hits: Sequence[Hit]

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `--json` prints them."""
        return {"value": self.value, "hits": [hit.to_json() for hit in self.hits]}


@dataclass(frozen=True)
class FeatureHit(Hit):
    """A picture that shares details with the query; what verification found, or its defaults where nothing agrees.

    Pixels are those of the two pictures themselves, as seen, `(0, 0)` at the top left.

    Attributes:
        verdict: `copy` (all of it, same size and direction), `rotated/scaled` (all of it), `crop` (the query is part of the
            hit), `contains` (the query shows the hit or a part of it among other things), `shared part` (the two have a part
            in common, and no more; only where asked for), `lookalike` (some details agree, too few to be sure), or `none`.
        probability: 0–1, that this is no chance agreement: calibrated on the collection, and for a shared part on pictures
            that have nothing in common.
        inliers: details that agree on one transform; of a shared part its fine ones, as are evidence, support and pairs.
        evidence: −log10 of the number of as good agreements expected by chance between two random pictures.
        support: agreeing details ÷ the smaller number of details that either picture has where they overlap, 0–1.
        correlation: of the pixels where they overlap, −1 to 1; None where the collection keeps no thumbnails.
        disagreement: −log10 of the probability that in a copy as few details would agree in the place where they agree least;
            0 and up, in copies seldom above 3.5. Of the whole overlap, for a shared part, too.
        strength: all of these weighed, as log-odds of the same picture; what verified hits are ordered by.
        mirrored: the hit shows the query's mirror image.
        transform: 3 × 3, row by row, pixels of the query to pixels of the hit (homogeneous); None where nothing agrees.
        polygon: where the query (or its region) lies in the hit: four corners `(x, y)`, clockwise from the query's top left.
        pairs: the agreeing details: x, y in the query and x, y in the hit.
        part_in_query, part_in_hit: the outline of a shared part in either picture: three or more corners `(x, y)` of a convex
            polygon around the details that agree; None for every other verdict.
    """

    verdict: str = "none"
    probability: float = 0.0
    inliers: int = 0
    evidence: float = 0.0
    support: float = 0.0
    correlation: float | None = None
    disagreement: float = 0.0
    strength: float = 0.0
    mirrored: bool = False
    transform: tuple[tuple[float, ...], ...] | None = None
    polygon: tuple[tuple[float, ...], ...] | None = None
    pairs: tuple[tuple[float, ...], ...] = field(default=(), hash=False, repr=False)
    part_in_query: tuple[tuple[float, ...], ...] | None = None
    part_in_hit: tuple[tuple[float, ...], ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON values, as `--json` prints them; without the pairs, which are many, and the outlines only of a shared part."""
        names: tuple[str, ...] = (
            "verdict",
            "probability",
            "inliers",
            "evidence",
            "support",
            "correlation",
            "disagreement",
            "strength",
            "mirrored",
            "transform",
            "polygon",
        )
        if self.verdict == "shared part":
            names += ("part_in_query", "part_in_hit")
        found = super().to_json()
        del found["probability"]  # it comes with the verdict
        return {**found, **{name: getattr(self, name) for name in names}}


def split_payload(payload: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A stored payload as `(uri, metadata, facts)`: the URI, the user's fields, and the other reserved ones."""
    metadata: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for name, value in payload.items():
        if name[0] == "_":  # no field has an empty name
            facts[name] = value
        else:
            metadata[name] = value
    return facts.pop("_uri", ""), metadata, facts
