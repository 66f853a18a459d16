"""Searches within the clusters nearest to a query: in a directory, and over a service."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import FieldType, InvalidInput, NotIndexed, SearchClient
from semblant_search.collection import RESERVED_FIELDS, point_id
from semblant_search.errors import StoreError
from semblant_search.querying.clusters import CENTRES_ASSET, read_centres
from semblant_search.store import Point, open_database
from semblant_search.web import create_app
from support.service import listening, problem, serving
from support.small_stores import manifest, unit_vectors, uris

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database

COUNT = 200
FIELDS = {**RESERVED_FIELDS, "_cluster": FieldType.INTEGER, "even": FieldType.BOOL}
VECTORS = unit_vectors(COUNT)
CENTRES = unit_vectors(5, seed=1)
OWNERS = np.array([0, 1, 2, 3, 0], np.int32)
"""The first cluster was made of two."""
LABELS = OWNERS[(VECTORS @ CENTRES.T).argmax(axis=1)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path / "db", create=True)) as database:
        with closing(database.create(manifest(fields=FIELDS))) as store:
            names = uris(COUNT)
            store.upsert(
                [
                    Point(point_id(uri), vector, {"_uri": uri, "_cluster": int(label), "even": row % 2 == 0})
                    for row, (uri, vector, label) in enumerate(zip(names, VECTORS, LABELS, strict=True))
                ]
            )
            file = io.BytesIO()
            np.savez(file, centres=CENTRES, owners=OWNERS)
            store.put_asset(CENTRES_ASSET, file.getvalue())
        database.publish("images", "g0001")
        yield database


def nearest(vector: np.ndarray, probes: int, limit: int = 10, chosen: np.ndarray | None = None) -> list[str]:
    """The same by plain numpy."""
    clusters: list[int] = []
    for row in np.argsort(-(CENTRES @ vector)):
        if OWNERS[row] not in clusters:
            clusters.append(OWNERS[row])
    inside = np.isin(LABELS, clusters[:probes]) & (True if chosen is None else chosen)
    order = np.argsort(-(VECTORS @ vector), kind="stable")
    return [uris(COUNT)[row] for row in order if inside[row]][:limit]


@pytest.mark.parametrize("probes", [1, 2, 3, 4, 9])
def test_hits_are_those_of_the_nearest_clusters(database: Database, probes: int) -> None:
    with SearchClient(database) as client:
        for vector in unit_vectors(20, seed=2):
            hits = client.search_vector(vector, 10, within_cluster=probes, exact=True)
            assert [hit.uri for hit in hits] == nearest(vector, probes)


def test_it_goes_with_filters_and_other_selections_and_over_a_service(database: Database) -> None:
    vector = unit_vectors(1, seed=3)[0]
    even = np.arange(COUNT) % 2 == 0
    with serving(database) as served:
        here = served.client.search_vector(vector, 5, within_cluster=True, where="even", exact=True)
        assert [hit.uri for hit in here] == nearest(vector, 1, 5, even)
        query = {"vector": vector.tolist(), "limit": 5, "within_cluster": 1, "where": "even", "exact": True}
        told = served.http.post("/v1/search", json=query).json()["hits"]
        assert [hit["uri"] for hit in told] == [hit.uri for hit in here]
        first = nearest(vector, 4)[0]
        own = {hit.uri for hit in served.client.search(first, 400, within_cluster=1, diversity=0.2)}
        assert own <= {uri for uri, label in zip(uris(COUNT), LABELS, strict=True) if label == LABELS[uris(COUNT).index(first)]}
        problem(served.http.post("/v1/search", json={**query, "within_cluster": 0}), 422, "invalid-request")


def test_many_pictures_are_each_compared_within_their_own_clusters(database: Database) -> None:
    asked = [uris(COUNT)[row] for row in range(0, COUNT, COUNT // 7)]
    with serving(database) as served:
        app = create_app(database, client=served.client)
        with listening(app) as address, SearchClient(address) as remote:
            for client in (served.client, remote):
                each = [client.search(uri, 5, within_cluster=2, exact=True) for uri in asked]
                together = client.search_batch(asked, 5, within_cluster=2, exact=True)
                assert [[hit.uri for hit in hits] for hits in together] == [[hit.uri for hit in hits] for hits in each]
                wide = client.search_batch(asked, 5, exact=True)
                assert [[hit.uri for hit in hits] for hits in wide] != [[hit.uri for hit in hits] for hits in each]
        with pytest.raises(InvalidInput, match="within_cluster with a region"):
            served.client.search_batch(asked, within_cluster=True, region=(0, 0, 5, 5))


@pytest.mark.parametrize("given", [0, -1, 1.5, "yes", None])
def test_what_is_no_number_of_clusters_is_refused(database: Database, given: Any) -> None:
    with SearchClient(database) as client, pytest.raises(InvalidInput, match="within_cluster"):
        client.search_vector(VECTORS[0], within_cluster=given)


def test_a_collection_without_clusters_or_with_damaged_ones_says_so(database: Database) -> None:
    with closing(database.open("images")) as store:
        store.put_asset(CENTRES_ASSET, b"no archive")
        with pytest.raises(StoreError, match="semblant cluster"):
            read_centres(store)
        store.drop_asset(CENTRES_ASSET)
    with SearchClient(database) as client, pytest.raises(NotIndexed, match="semblant cluster"):
        client.search_vector(VECTORS[0], within_cluster=True)
