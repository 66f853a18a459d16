"""From a shortlist by visual words to hits that are proven: stored features, geometry, verdicts in the pictures' own pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from semblant_search.orb.relation import relation
from semblant_search.results import FeatureHit, split_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.feature_reader import FeatureReader, Seen
    from semblant_search.orb import Match
    from semblant_search.store.base import ScoredRecord, Store

__all__ = ["SHORTLIST", "merged", "prove", "unproven"]

SHORTLIST = 48
"""Candidates by visual words that are compared with the query, at most, unless more hits are asked for."""
_STAGE = 4


def prove(
    store: Store,
    reader: FeatureReader,
    query: Seen,
    shortlist: Sequence[ScoredRecord],
    min_confidence: float,
    enough: int,
    least_part: float | None = None,
) -> list[FeatureHit]:
    """Compare the query with the candidates, a few at a time, and return the hits that reach the confidence, best first.

    Reading a candidate's features and comparing them costs most of a query. So the shortlist, which is in order of likelihood,
    is gone through in stages, the first alone, and no further once `enough` are proven, or where a stage after a proven one
    proves nothing more. Which candidates share a part with the query, shared words do not tell: those asked for, it goes
    through all of it. Hits that share a part come after those that are proven.

    Args:
        least_part: the least probability of a shared part; None asks for none.
    """
    shared_parts = least_part is not None
    verifier = reader.verifier(query, shared_parts=shared_parts)
    hits: list[FeatureHit] = []
    proven = 0
    for start in range(1 - _STAGE, len(shortlist), _STAGE):
        stage = shortlist[max(0, start) : start + _STAGE]
        stored = {record.id: record for record in store.retrieve([record.id for record in stage], with_features=True)}
        there = [record for record in stage if record.id in stored]  # another process of a server may have deleted one
        seen = [reader.of_record(stored[record.id]) for record in there]
        matches = verifier.verify_many(
            [item.features for item in seen], [item.grey for item in seen], [item.thumbnail for item in seen]
        )
        chances = [0.0 if match is None else match.probability for match in matches]
        hits += [
            _hit(replace(record, payload=stored[record.id].payload), item, match, query)
            for record, item, match, chance in zip(there, seen, matches, chances, strict=True)
            if chance >= (min_confidence if match is None or match.part is None or least_part is None else least_part)
        ]
        now = sum(chance >= max(min_confidence, 0.5) for chance in chances)
        if min_confidence > 0 and not shared_parts and ((proven and not now) or proven + now >= enough):
            break
        proven += now
    return sorted(hits, key=_order if shared_parts else _strongest)


def merged(*answers: Sequence[FeatureHit]) -> list[FeatureHit]:
    """One list of several, in the order of one; of two hits that are one picture, the first."""
    first: dict[str, FeatureHit] = {}
    for hit in sorted((hit for hits in answers for hit in hits), key=_order):
        first.setdefault(hit.id, hit)
    return list(first.values())


def _strongest(hit: FeatureHit) -> tuple[float, ...]:
    return hit.transform is None, -hit.strength, -hit.score  # strength may be below 0


def _order(hit: FeatureHit) -> tuple[float, ...]:
    """Proven, then with a shared part, then the others."""
    rank = {"shared part": 1, "lookalike": 2}.get(hit.verdict, 0)
    return hit.transform is None, rank, -hit.evidence if rank == 1 else 0.0, *_strongest(hit)


def unproven(shortlist: Sequence[ScoredRecord]) -> list[FeatureHit]:
    """The shortlist as it is, in order of the visual words that it shares with the query."""
    hits = []
    for record in shortlist:
        uri, metadata, facts = split_payload(record.payload)
        hits.append(FeatureHit(record.id, uri, metadata, facts, record.score))
    return hits


def _hit(record: ScoredRecord, seen: Seen, match: Match | None, query: Seen) -> FeatureHit:
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
