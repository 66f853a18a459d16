"""Everything a collection holds: by page, one by one, by name, with vectors; on a directory and a server, beside a model."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from semblant_search import CollectionNotFound, InvalidInput, PointNotFound, SearchClient, StoreError, WhereError
from semblant_search.collection import FieldType, point_id
from semblant_search.store import Database, Point, open_database
from support.servers import REAL, database_of, own_name, url_of
from support.small_stores import manifest, unit_vectors, uris

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search import Picture

COUNT = 137
FIELDS = {
    "number": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "taken": FieldType.DATETIME,
    "album": FieldType.KEYWORD,
}
URIS = uris(COUNT)
VECTORS = unit_vectors(COUNT)


def payload(row: int) -> dict[str, Any]:
    """With ties, missing values, lists, and numbers beyond what a float holds."""
    values: dict[str, Any] = {"_uri": URIS[row], "number": row % 5, "album": ["sea", "hills"][row % 2]}
    if row % 3:
        values["price"] = [row % 4 / 3, 7.5] if row % 10 == 1 else row % 4 / 3
        values["taken"] = f"2024-05-{1 + row % 4:02d}T10:00:00.000001Z"
    return values


PAYLOADS = [payload(row) for row in range(COUNT)]


def add(db: Database, collection: str, generation: str = "g0001", vectors: np.ndarray = VECTORS, **changes: Any) -> None:
    facts = replace(manifest(generation), collection=collection, **changes)
    with closing(db.create(facts)) as store:
        store.add_fields(FIELDS)
        store.upsert([Point(point_id(URIS[row]), vector, PAYLOADS[row]) for row, vector in enumerate(vectors)])
    db.publish(collection, generation)


class Place(NamedTuple):
    db: Database
    collection: str

    def client(self) -> SearchClient:
        return SearchClient(self.db, collection=self.collection, refresh=0)


@pytest.fixture(scope="module", params=["directory", "stand-in", REAL])
def read_only(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from _place(request.param, tmp_path_factory)


@pytest.fixture(params=["directory", "stand-in", REAL])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from _place(request.param, tmp_path_factory)


def _place(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if kind == "directory":
        with closing(open_database(tmp_path_factory.mktemp("listing") / "db", create=True)) as db:
            add(db, "images")
            yield Place(db, "images")
        return
    url = url_of(kind)
    with own_name(url) as name, database_of(url) as db:
        add(db, name)
        yield Place(db, name)


@pytest.fixture(scope="module")
def client(read_only: Place) -> Iterator[SearchClient]:
    with read_only.client() as client:
        yield client


def model(order_by: str | None, *, descending: bool = False, matches: Callable[[dict[str, Any]], bool] = bool) -> list[str]:
    """The URIs in their order."""
    rows = [values for values in PAYLOADS if matches(values)]
    rows.sort(key=lambda values: point_id(values["_uri"]))
    if order_by is not None:
        best = max if descending else min
        rows = [values for values in rows if order_by in values]
        key = {values["_uri"]: value if not isinstance(value := values[order_by], list) else best(value) for values in rows}
        found = sorted({*key.values()}, reverse=descending)
        rows.sort(key=lambda values: found.index(key[values["_uri"]]))
    return [values["_uri"] for values in rows]


def paged(client: SearchClient, limit: int, **options: Any) -> list[Picture]:
    found: list[Picture] = []
    cursor = None
    while True:
        page = client.scroll(limit, cursor=cursor, **options)
        assert len(page.pictures) == limit or page.cursor is None
        found += page.pictures
        cursor = page.cursor
        if cursor is None:
            return found


def named(pictures: Any) -> list[str]:
    return [picture.uri for picture in pictures]


@pytest.mark.parametrize("order_by", [None, "number", "price", "taken"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 10, COUNT - 1, COUNT, 1000])
def test_pages_of_any_length_are_the_whole_collection_in_order(
    client: SearchClient, order_by: str | None, descending: bool, limit: int
) -> None:
    if order_by is None and descending:
        pytest.skip("ids have one order")
    options: dict[str, Any] = {"order_by": order_by, "descending": descending}
    if limit == 1:  # a request or two for each picture
        options["where"] = "number in [2, 3] and album == 'sea'"
        expected = model(
            order_by, descending=descending, matches=lambda values: values["number"] in (2, 3) and values["album"] == "sea"
        )
    else:
        expected = model(order_by, descending=descending)
    assert named(paged(client, limit, **options)) == expected
    assert named(client.pictures(**options)) == expected


def test_a_picture_has_its_metadata_facts_and_where_asked_for_its_vector(client: SearchClient) -> None:
    for found in (paged(client, 50, with_vectors=True), list(client.pictures(with_vectors=True, order_by="number"))):
        assert len(found) == COUNT
        for picture in found:
            row = URIS.index(picture.uri)
            assert picture.vector is not None
            assert picture.vector.dtype == np.float32
            np.testing.assert_allclose(picture.vector, VECTORS[row], atol=1e-6)
            assert picture.metadata == {name: value for name, value in PAYLOADS[row].items() if name != "_uri"}
            assert picture.to_json()["vector"] == picture.vector.tolist()
    (plain,) = client.scroll(1).pictures
    assert plain.vector is None
    assert "vector" not in plain.to_json()
    assert plain == client.get(plain.id, with_vectors=True)  # vectors do not count
    assert hash(plain) == hash(client.get(plain.id, with_vectors=True))


def test_many_by_name_come_in_their_order_with_none_for_those_that_are_not_there(client: SearchClient) -> None:
    asked = [URIS[5], "file:///pictures/none.png", point_id(URIS[3]), URIS[5]]
    found = client.get_many(iter(asked))
    assert [None if picture is None else picture.uri for picture in found] == [URIS[5], None, URIS[3], URIS[5]]
    every = client.get_many(URIS, with_vectors=True)
    np.testing.assert_allclose(
        np.stack([p.vector for p in every if p is not None and p.vector is not None]), VECTORS, atol=1e-6
    )
    assert client.get_many([]) == []
    with pytest.raises(InvalidInput, match="get_many: expected a list of pictures, not one"):
        client.get_many(URIS[0])
    with pytest.raises(PointNotFound, match="none"):
        client.get("file:///pictures/none.png")


def test_the_collections_of_a_database_are_named_with_what_they_know(place: Place) -> None:
    with place.client() as client:
        before = set(client.collections())
        assert place.collection in before
        other = f"{place.collection}-too"
        add(place.db, other)
        try:
            found = client.collections()
            assert set(found) == before | {other}
            assert (found[other].collection, found[other].generation) == (other, "g0001")
            assert found[place.collection] == client.manifest
        finally:
            if place.db.location.startswith("http"):
                from support.servers import sweep

                sweep(place.db.location, other)
    with pytest.raises(StoreError, match="closed"):
        client.collections()


def test_a_cursor_holds_on_while_pictures_come_and_go(place: Place) -> None:
    for options in ({}, {"order_by": "number"}, {"order_by": "price", "descending": True}):
        with place.client() as client:
            whole = named(client.pictures(**options))
            page = client.scroll(30, **options)
            gone = {*whole[10:15], *whole[29:33]}  # of this page and of the next one, its first one, too
            client.delete(sorted(gone))
            rest: list[str] = []
            while page.cursor is not None:
                page = client.scroll(20, cursor=page.cursor, **options)
                rest += named(page.pictures)
            assert rest == [uri for uri in whole[30:] if uri not in gone]


def test_a_cursor_goes_on_in_the_next_generation_and_all_pictures_at_once_are_of_one(place: Place) -> None:
    with place.client() as client:
        listed = client.pictures(with_vectors=True)
        first = next(listed)
        page, with_vectors = client.scroll(30, order_by="number"), client.scroll(30, with_vectors=True)
        add(place.db, place.collection, "g0002", -VECTORS[: COUNT // 2], encoder_fingerprint="1" * 64)
        whole = named(client.pictures(order_by="number"))
        assert len(whole) == COUNT // 2
        assert client.manifest.generation == "g0002"
        following = client.scroll(1000, order_by="number", cursor=page.cursor)
        assert named(following.pictures) == [uri for uri in whole if uri not in named(page.pictures)]
        with pytest.raises(InvalidInput, match="vectors of another encoder; begin again"):
            client.scroll(30, with_vectors=True, cursor=with_vectors.cursor)
        rest = [first, *listed]
        assert named(rest) == model(None)
        for picture in rest:
            assert picture.vector is not None
            np.testing.assert_allclose(picture.vector, VECTORS[URIS.index(picture.uri)], atol=1e-6)


def test_all_pictures_of_a_generation_that_a_server_deletes_end_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from semblant_search.querying import listing

    monkeypatch.setattr(listing, "_AT_ONCE", 10)
    url = url_of("stand-in")
    with own_name(url) as name, database_of(url) as db:
        add(db, name)
        with SearchClient(db, collection=name, refresh=0) as client:
            listed = client.pictures()
            next(listed)
            add(db, name, "g0002")
            db.drop(name, "g0001")
            with pytest.raises(CollectionNotFound):
                list(listed)
            assert len(list(client.pictures())) == COUNT


@pytest.mark.parametrize("limit", [10, 1000])
def test_a_late_page_asks_for_no_more_than_the_first(limit: int) -> None:
    from support.servers import stand_in

    url = url_of("stand-in")
    with own_name(url) as name, database_of(url) as db:
        add(db, name)
        with SearchClient(db, collection=name) as client:
            for order_by in (None, "number"):
                cursor: str | None = None
                while True:
                    stand_in().forget()
                    cursor = client.scroll(limit, order_by=order_by, cursor=cursor).cursor
                    sent = stand_in().requests("POST", "/scroll")
                    assert 1 <= len(sent) <= 4
                    assert all(request.body["limit"] <= limit + 1 for request in sent)
                    if cursor is None:
                        break


def test_bad_arguments_say_what_was_expected(client: SearchClient) -> None:
    cursor = client.scroll(3).cursor
    by_number = client.scroll(3, order_by="number").cursor
    assert cursor is not None
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"limit": 0}, "limit 0: expected a whole number of hits, at least 1"),
        ({"order_by": "album"}, "order by 'album': it is keyword; expected an integer, float or datetime field"),
        ({"order_by": "nmber"}, "nmber"),
        ({"order_by": 3}, "order_by 3: expected the name of a field"),
        ({"descending": True}, "by which field"),
        ({"cursor": "junk"}, "cursor 'junk': expected the cursor of a page as it was given, or None"),
        ({"cursor": 5}, "cursor 5: expected the cursor"),
        ({"cursor": cursor[:-4]}, "expected the cursor of a page"),
        ({"cursor": cursor, "where": "number == 1"}, "with another filter, order or collection"),
        ({"cursor": cursor, "order_by": "number"}, "with another filter, order or collection"),
        ({"cursor": by_number}, "with another filter, order or collection"),
        ({"cursor": by_number, "order_by": "number", "descending": True}, "with another filter"),
    ]
    for options, message in wrong:
        with pytest.raises(InvalidInput, match=message):
            client.scroll(**options)
    with pytest.raises(WhereError, match="no such"):
        client.scroll(where="no such")
    with pytest.raises(InvalidInput, match="order by 'album'"):
        client.pictures(order_by="album")  # not only when it is gone through
