"""Pictures whose files are not at hand: what their embeddings and details say, which proves no copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semblant_search.store import Nearest, SearchRequest

from .clusters import Changed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.feature_reader import FeatureReader
    from semblant_search.store import Store
    from semblant_search.where import Where

    from .clusters import Cluster

__all__ = ["attach_by_details"]

_NEIGHBOURS = 16
_WHOLE = ("copy", "rotated/scaled")
_AGREEING = 0.45
"""Share of all details that have to agree: pages of one template share two fifths of theirs."""


def attach_by_details(
    store: Store,
    reader: FeatureReader,
    clusters: Sequence[Cluster],
    *,
    where: Where | None,
    min_score: float,
    min_confidence: float,
) -> None:
    """Join what is not at hand, as changed, to the picture whose details it shares and that looks like it.

    Each is asked for once by embedding; the nearest few are verified by geometry.
    """
    at = {cluster.first.first.id: number for number, cluster in enumerate(clusters)}
    taken = {other.content.sha256 for cluster in clusters for other in cluster.changed}
    for number, cluster in enumerate(clusters):
        mine = cluster.first
        if mine.at_hand or mine.sha256 in taken or cluster.changed:
            continue
        records = store.retrieve([mine.first.id], with_image=True, with_features=True)
        if not records or records[0].image is None:
            continue
        found = store.query(
            SearchRequest(
                Nearest(records[0].image), _NEIGHBOURS + 1, where=where, fields=["_sha256"], score_threshold=min_score
            )
        )
        near = [hit.id for hit in found if hit.id in at and at[hit.id] != number]
        near = [id for id in near if clusters[at[id]].first.sha256 not in taken]
        if mine.first.path is not None:  # a local file that is gone is no file beside those that are there
            near = [id for id in near if not clusters[at[id]].first.at_hand]
        # Where neither is at hand, the one that comes first is the main one.
        near = [id for id in near if clusters[at[id]].first.at_hand or at[id] < number]
        seen = reader.of_record(records[0])
        verifier = reader.verifier(seen)
        for record in sorted(store.retrieve(near, with_features=True), key=lambda record: near.index(record.id)):
            other = reader.of_record(record)
            match = verifier.verify(other.features, other.grey, other.thumbnail)
            if match is None or match.verdict not in _WHOLE or match.probability < min_confidence:
                continue
            if match.inliers >= _AGREEING * min(len(seen.features), len(other.features)):
                main = clusters[at[record.id]]
                main.changed.append(Changed(mine, ("by details alone",), match.verdict, match.probability))
                taken.add(mine.sha256)
                break
