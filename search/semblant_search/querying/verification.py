"""From a shortlist by visual words to hits that are proven: stored features, geometry, verdicts in the pictures' own pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.orb.relation import relation
from semblant_search.results import FeatureHit, split_payload
from semblant_search.stages import in_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.feature_reader import FeatureReader, PictureFeatures
    from semblant_search.orb import Match, Verifier
    from semblant_search.store import ScoredRecord, Store

    from .shortlist import Shortlist

    _Compared = tuple[ScoredRecord, PictureFeatures, Match | None]

__all__ = ["Proof", "unproven", "verify_candidates"]

_STAGE = 4
_LOOKED_AT = 4
_LIKELY = 0.5
"""Probability from which a candidate is a reason to look at more of them, whatever is asked for."""


@dataclass(frozen=True)
class Proof:
    """What is asked of a candidate.

    Attributes:
        confidence: least probability that its agreement is no chance; 0 takes all candidates.
        least_part: least probability of a shared part; None asks for none.
    """

    confidence: float
    least_part: float | None = None

    def holds_for(self, match: Match | None) -> bool:
        """Whether a candidate is a hit; None where nothing agrees."""
        if match is None:
            return self.confidence == 0
        return match.probability >= (self.confidence if match.part is None or self.least_part is None else self.least_part)


def verify_candidates(
    store: Store, reader: FeatureReader, query: PictureFeatures, shortlist: Shortlist, proof: Proof, enough: int
) -> list[FeatureHit]:
    """Compare the query with candidates, a few at a time, and return the hits that reach the confidence, best first.

    Reading a candidate's features and comparing them costs most of a query. So each block of the shortlist, which is in order
    of likelihood, is gone through in stages, the first one of a single candidate, and no further where a stage proves nothing
    after one that did. While the last stage of a block proves something, and there are fewer than `enough` hits, another block
    follows: its hits come after those of the blocks before. So every answer is the beginning of the answer with more hits.

    Where nothing is proven because the collection is full of pages of one form, the likeliest are looked at in their own files.

    Which candidates share a part with the query, shared words do not tell: those asked for, all of a block is gone through.
    Its hits that share a part come after those that are proven.
    """
    verifier = reader.verifier(query, shared_parts=proof.least_part is not None)
    likely = max(proof.confidence, _LIKELY)
    all_of_it = proof.confidence == 0 or proof.least_part is not None
    hits: list[FeatureHit] = []
    doubtful: list[_Compared] = []
    number, go_on = 0, True
    while go_on and len(hits) < enough and (block := shortlist.block(number)):
        found: list[FeatureHit] = []
        some = False
        for start in range(1 - _STAGE, len(block), _STAGE):
            compared = _compared(store, reader, verifier, block[max(0, start) : start + _STAGE])
            found += [_hit(record, seen, match, query) for record, seen, match in compared if proof.holds_for(match)]
            if number == 0:
                doubtful += [one for one in compared if one[2] is not None and verifier.may_be_copy(one[2])]
            now = any(match is not None and match.part is None and match.probability >= likely for _, _, match in compared)
            go_on = now or proof.confidence == 0
            if some and not go_on and not all_of_it:
                break
            some = some or now
        hits += sorted(found, key=_order)
        number += 1
    if doubtful and query.pixels is not None and all(_order(hit)[1] for hit in hits):
        seen_closer = _looked_at(reader, verifier, doubtful)
        proven = [_hit(record, seen, match, query) for record, seen, match in seen_closer if proof.holds_for(match)]
        known = {hit.id for hit in proven}
        hits = [*sorted(proven, key=_order), *(hit for hit in hits if hit.id not in known)]
    return hits


@in_stage("verify")
def _looked_at(reader: FeatureReader, verifier: Verifier, doubtful: Sequence[_Compared]) -> list[_Compared]:
    """Those of the likeliest copies that their own files prove to be some, in a collection whose lookalikes forbid it else.

    A file is read and decoded for each, so only the likeliest few are looked at, and only where nothing else was proven.
    """
    likest: list[tuple[float, str, _Compared]] = []
    for record, seen, match in doubtful:
        if match is not None:
            likest.append((-verifier.likeness(match, seen.thumbnail, seen.grey), record.id, (record, seen, match)))
    found: list[_Compared] = []
    for _, _, (record, seen, match) in sorted(likest, key=lambda one: one[:2])[:_LOOKED_AT]:
        grey = reader.grey_of(record)
        if grey is not None and match is not None:
            closer = verifier.look(match, grey, seen.grey)
            if closer is not match:
                found.append((record, seen, closer))
    return found


@in_stage("verify")
def _compared(store: Store, reader: FeatureReader, verifier: Verifier, candidates: Sequence[ScoredRecord]) -> list[_Compared]:
    """Candidates that are still there, with all of their payload, and what agrees with each."""
    stored = {record.id: record for record in store.retrieve([record.id for record in candidates], with_features=True)}
    there = [record for record in candidates if record.id in stored]  # another process of a server may have deleted one
    seen = [reader.of_record(stored[record.id]) for record in there]
    matches = verifier.verify_many(
        [item.features for item in seen], [item.grey for item in seen], [item.thumbnail for item in seen]
    )
    whole = [replace(record, payload=stored[record.id].payload) for record in there]
    return list(zip(whole, seen, matches, strict=True))


def _order(hit: FeatureHit) -> tuple[float | str, ...]:
    """Proven, then with a shared part, then the others; equal ones by id."""
    rank = {"shared part": 1, "lookalike": 2}.get(hit.verdict, 0)
    strongest = (-hit.evidence if rank == 1 else 0.0, -hit.strength, -hit.score)  # strength may be below 0
    return hit.transform is None, rank, *strongest, hit.id


def unproven(shortlist: Sequence[ScoredRecord]) -> list[FeatureHit]:
    """The shortlist as it is, in order of the visual words that it shares with the query."""
    hits = []
    for record in shortlist:
        uri, metadata, facts = split_payload(record.payload)
        hits.append(FeatureHit(record.id, uri, metadata, facts, record.score))
    return hits


def _hit(record: ScoredRecord, seen: PictureFeatures, match: Match | None, query: PictureFeatures) -> FeatureHit:
    uri, metadata, facts = split_payload(record.payload)
    if match is None:
        return FeatureHit(record.id, uri, metadata, facts, record.score)
    transform = seen.to_picture @ match.transform @ np.linalg.inv(query.to_picture)
    x, y, width, height = query.box
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    verdict, shared = match.verdict, match.part
    if shared is None and verdict != "lookalike":  # in the pictures' own pixels, for features are from pictures of one size
        part = [[-1, 0, x + width], [0, 1, y], [0, 0, 1]] if query.mirrored else [[1, 0, x], [0, 1, y], [0, 0, 1]]
        verdict = relation(transform @ np.array(part), (width, height), seen.box[2:], plain=match.plain)
    agreed = match if shared is None else shared
    mine, theirs = agreed.pairs.T
    here = _through(query.to_picture, query.features.keypoints[mine, :2])
    there = _through(seen.to_picture, seen.features.keypoints[theirs, :2])
    return FeatureHit(
        record.id,
        uri,
        metadata,
        facts,
        record.score,
        verdict=verdict,
        probability=match.probability,
        inliers=agreed.inliers,
        evidence=agreed.evidence,
        support=float(agreed.support),
        correlation=None if match.pixels is None else match.pixels.correlation,
        disagreement=match.disagreement,
        strength=match.strength,
        mirrored=query.mirrored,
        transform=tuple(map(tuple, (transform / transform[2, 2]).tolist())),
        polygon=_corners(transform, np.array(corners, np.float64)),
        pairs=tuple((*a, *b) for a, b in zip(here.tolist(), there.tolist(), strict=True)),
        part_in_query=None if shared is None else _corners(query.to_picture, shared.query),
        part_in_hit=None if shared is None else _corners(seen.to_picture, shared.candidate),
    )


def _corners(transform: np.ndarray, points: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, _through(transform, points).tolist()))


def _through(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    image = points @ transform[:, :2].T + transform[:, 2]
    out: np.ndarray = image[:, :2] / image[:, 2:]
    return out
