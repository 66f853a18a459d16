"""SearchClient on a database directory: what a user asks, and what comes back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from semblant_search import (
    CollectionNotFound,
    Encoder,
    EncoderError,
    EncoderMismatch,
    F,
    Hit,
    ImageError,
    InvalidInput,
    NoFeaturesError,
    NotADatabase,
    NotIndexed,
    PointNotFound,
    SearchClient,
    StoreError,
    WhereError,
    canonical_uri,
    point_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from semblant_search.images import ImageSource


@pytest.fixture(scope="module")
def client(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    copy = shutil.copytree(indexed, tmp_path_factory.mktemp("read") / "pictures.db")
    with SearchClient(copy) as client:
        yield client


@pytest.fixture(scope="module")
def query(fashion_small: Path) -> Path:
    """A picture that is not in the collection."""
    return sorted((fashion_small / "test" / "trouser").glob("*.png"))[0]


def uris(hits: Sequence[Hit]) -> list[str]:
    return [hit.uri for hit in hits]


def test_the_nearest_pictures_are_those_of_exact_cosine(
    client: SearchClient, query: Path, encoder: Encoder, pictures: list[Path]
) -> None:
    cosines = encoder.encode_pictures(pictures) @ encoder.encode_pictures([query])[0]
    best = np.argsort(-cosines)[:10]
    hits = client.search(query)
    assert uris(hits) == [canonical_uri(pictures[i]) for i in best]
    np.testing.assert_allclose([hit.score for hit in hits], cosines[best], atol=1e-5)
    assert {hit.metadata["label"] for hit in hits[:3]} == {"trouser"}


def test_a_hit_tells_the_user_s_fields_from_semblant_s(client: SearchClient, query: Path) -> None:
    hit = client.search(query, limit=1)[0]
    assert set(hit.metadata) == {"label", "price"}
    assert {"_width", "_height", "_sha256"} <= set(hit.facts)
    assert hit.path is not None
    assert hit.path.is_file()
    assert hit.id == point_id(hit.uri)
    assert hit.to_json()["metadata"]["label"] == "trouser"
    with pytest.raises(FrozenInstanceError):
        hit.score = 2  # type: ignore[misc]


def test_every_form_of_a_picture_asks_the_same(client: SearchClient, query: Path) -> None:
    expected = uris(client.search(query))
    with Image.open(query) as picture:
        picture.load()
    for form in (str(query), query.read_bytes(), picture, np.asarray(picture), np.asarray(picture.convert("RGB"))):
        assert uris(client.search(form)) == expected


def test_an_indexed_picture_leaves_itself_out(client: SearchClient, pictures: list[Path]) -> None:
    own = canonical_uri(pictures[7])
    by_uri = client.search(own, limit=5)
    assert own not in uris(by_uri)
    assert len(by_uri) == 5
    assert uris(client.search(pictures[7], limit=5)) == uris(by_uri)
    assert uris(client.search(point_id(own), limit=5)) == uris(by_uri)
    with_self = client.search(own, limit=5, include_self=True)
    assert with_self[0].uri == own
    assert with_self[0].score == pytest.approx(1, abs=1e-5)
    assert uris(with_self)[1:] == uris(by_uri)[:4]


def test_a_changed_file_is_looked_at_again(
    encoder: Encoder, pictures: list[Path], query: Path, tmp_path: Path, index: Callable[..., None]
) -> None:
    copies = [Path(shutil.copy(path, tmp_path)) for path in pictures[:10]]
    index(tmp_path / "db", copies)
    with SearchClient(tmp_path / "db") as client:
        before = client.search(copies[0], limit=9)
        copies[0].unlink()
        assert client.search(copies[0], limit=9) == before  # gone: its stored vector answers
        shutil.copy(query, copies[0])
        assert client.search(copies[0], limit=9) != before
        assert canonical_uri(copies[0]) not in uris(client.search(copies[0], limit=9))
        assert client.search(canonical_uri(copies[0]), limit=9) == before  # a URI means what was indexed


def test_pages_continue_where_the_last_one_ended(client: SearchClient, query: Path, pictures: list[Path]) -> None:
    for picture in (query, canonical_uri(pictures[0])):
        whole = uris(client.search(picture, limit=30, exact=True))
        assert [
            uri for start in (0, 10, 20) for uri in uris(client.search(picture, limit=10, offset=start, exact=True))
        ] == whole


def test_a_limit_beyond_the_collection_returns_all_of_it(client: SearchClient, query: Path, pictures: list[Path]) -> None:
    for limit in (len(pictures) + 1, 10**12):
        assert len(client.search(query, limit=limit, exact=True)) == len(pictures)
    assert len(client.search(pictures[0], limit=10**6, exact=True)) == len(pictures) - 1
    assert client.search(query, offset=len(pictures)) == []


def test_filters_hold_in_both_forms(client: SearchClient, query: Path) -> None:
    text = client.search(query, limit=20, where='label in ["coat", "shirt"] and price < 200')
    tree = client.search(query, limit=20, where=F("label").in_(["coat", "shirt"]) & (F("price") < 200))
    assert uris(text) == uris(tree)
    assert text
    assert all(hit.metadata["label"] in ("coat", "shirt") and hit.metadata["price"] < 200 for hit in text)


def test_a_least_score_cuts_the_tail(client: SearchClient, query: Path) -> None:
    scores = [hit.score for hit in client.search(query, limit=50)]
    cut = (scores[9] + scores[10]) / 2
    assert [hit.score for hit in client.search(query, limit=50, min_score=cut)] == pytest.approx(scores[:10])


def test_a_batch_answers_as_one_by_one(client: SearchClient, query: Path, pictures: list[Path]) -> None:
    asked: list[ImageSource] = [query, pictures[3], query.read_bytes(), canonical_uri(pictures[50])]
    batch = client.search_batch(asked, limit=4, where="price >= 10", exact=True)
    assert [uris(hits) for hits in batch] == [uris(client.search(p, limit=4, where="price >= 10", exact=True)) for p in asked]
    assert client.search_batch([]) == []


def test_a_vector_of_any_length_is_compared_by_direction(client: SearchClient, query: Path) -> None:
    vector = client.embed([query])[0]
    expected = client.search(query)
    assert uris(client.search_vector(vector)) == uris(expected)
    scaled = client.search_vector([float(x) * 100 for x in vector], ef_search=200)
    assert uris(scaled) == uris(expected)
    assert scaled[0].score == pytest.approx(expected[0].score, abs=1e-5)


@pytest.mark.parametrize(
    "vector", [[1.0] * 48, [[1.0] * 49], [0.0] * 49, [float("nan")] * 49, [float("inf")] * 49, ["a"] * 49, 3.0], ids=repr
)
def test_vectors_that_cannot_be_compared_are_refused(client: SearchClient, vector: object) -> None:
    with pytest.raises(InvalidInput, match="vector"):
        client.search_vector(vector)  # type: ignore[arg-type]


def test_visual_words_alone_bring_the_source_of_a_crop_to_the_front(client: SearchClient, pictures: list[Path]) -> None:
    found = 0
    bags = [path for path in pictures if path.parent.name in ("bag", "shirt")][:20]
    for path in bags:
        with Image.open(path) as picture:
            hits = client.search_features(picture.crop((2, 2, 26, 26)), limit=3, verify=False)
        found += canonical_uri(path) in uris(hits)
        assert {hit.verdict for hit in hits} == {"none"}
    assert found >= 12


def test_features_of_an_indexed_picture_leave_itself_out(client: SearchClient, pictures: list[Path]) -> None:
    path = next(path for path in pictures if path.parent.name == "bag")
    assert canonical_uri(path) not in uris(client.search_features(path, min_confidence=0))
    itself = client.search_features(path, include_self=True)[0]
    assert (itself.uri, itself.verdict) == (canonical_uri(path), "copy")
    filtered = client.search_features(path, where='label == "bag"', min_confidence=0)
    assert filtered
    assert {hit.metadata["label"] for hit in filtered} == {"bag"}


def test_a_flat_picture_has_no_features_to_ask_with(client: SearchClient) -> None:
    with pytest.raises(NoFeaturesError, match="flat"):
        client.search_features(Image.new("L", (200, 200), 99))


def test_a_collection_without_features_says_so(db: Path, query: Path) -> None:
    with SearchClient(db, collection="plain") as client, pytest.raises(NotIndexed, match="without ORB"):
        client.search_features(query)


def test_counts_and_facets(client: SearchClient, pictures: list[Path]) -> None:
    assert client.count() == len(pictures) == 300
    assert client.count('label == "bag"') == 30
    assert client.facet("label", limit=3) == {"ankle-boot": 30, "bag": 30, "coat": 30}
    assert client.facet("label", where="price < 31") == {"ankle-boot": 30, "bag": 1}


def test_get_by_uri_path_and_id(client: SearchClient, pictures: list[Path], query: Path) -> None:
    picture = client.get(pictures[5])
    assert picture == client.get(picture.uri) == client.get(picture.id) == client.get(str(pictures[5]))
    assert picture.metadata == {"label": pictures[5].parent.name, "price": 5.0}
    with pytest.raises(PointNotFound, match="no picture of collection 'images'"):
        client.get(query)


def test_deleted_pictures_are_found_no_more(db: Path, pictures: list[Path], query: Path) -> None:
    with SearchClient(db) as client:
        first = client.search(query, limit=3)
        assert client.delete([first[0].uri, first[1].id, "/no/such.png", first[0].uri]) == 2
        assert uris(client.search(query, limit=1)) == [first[2].uri]
        assert client.count() == 298
        assert client.delete([]) == 0
    with SearchClient(db) as client:
        assert client.count() == 298


def test_one_text_is_not_taken_for_a_list_of_pictures_to_delete(db: Path) -> None:
    with SearchClient(db) as client, pytest.raises(InvalidInput, match="list"):
        client.delete("/a/b.png")


@pytest.mark.parametrize("limit", [0, -1, True, 2.5, "10"])
def test_limits_that_mean_nothing_are_refused(client: SearchClient, query: Path, limit: int) -> None:
    for ask in (client.search, client.search_features):
        with pytest.raises(InvalidInput, match="limit"):
            ask(query, limit=limit)
    with pytest.raises(InvalidInput, match="limit"):
        client.facet("label", limit=limit)


def test_a_filter_error_points_at_its_column(client: SearchClient, query: Path) -> None:
    with pytest.raises(WhereError) as syntax:
        client.search(query, where="price <")
    assert syntax.value.column is not None
    with pytest.raises(WhereError, match="colour") as unknown:
        client.search(query, where='price < 3 and colour == "red"')
    assert unknown.value.column == 14


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(40)], ids=["empty", "text", "broken"])
def test_a_query_that_does_not_decode_is_an_image_error(client: SearchClient, data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "query.png"
    file.write_bytes(data)
    for picture in (data, file, str(file)):
        with pytest.raises(ImageError):
            client.search(picture)
        with pytest.raises(ImageError):
            client.search_features(picture)


def test_a_missing_file_and_an_unknown_uri_say_so(client: SearchClient) -> None:
    with pytest.raises(ImageError, match=r"no such file, and collection 'images'") as missing:
        client.search("/no/such/picture.png")
    assert missing.value.reason == "missing"
    for name in ("https://example.org/a.png", "file:///no/such.png", "6f6d2b6e-5a63-5c3e-9d0a-6c1a6d9c1b7e"):
        with pytest.raises(PointNotFound, match="expected its URI"):
            client.search(name)


def test_an_unknown_file_uri_is_read_as_the_file(client: SearchClient, query: Path) -> None:
    assert uris(client.search(canonical_uri(query))) == uris(client.search(query))


def test_many_threads_may_share_a_client(indexed: Path, tmp_path: Path, fashion_small: Path) -> None:
    asked = sorted((fashion_small / "test").rglob("*.png"))[:40]
    with SearchClient(shutil.copytree(indexed, tmp_path / "db")) as client, ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda path: uris(client.search(path)), asked))  # the encoder is loaded by all at once
        assert together == [uris(client.search(path)) for path in asked]


def test_a_closed_client_says_so(db: Path, query: Path) -> None:
    client = SearchClient(db)
    client.close()
    client.close()
    assert "closed" in repr(client)
    with pytest.raises(StoreError, match="closed"):
        client.search(query)
    SearchClient(db).close()  # the directory is free again


def test_the_given_encoder_must_be_the_collection_s(
    db: Path, query: Path, encoder: Encoder, other_encoder: Encoder, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right.onnx", tmp_path / "wrong.onnx"
    right.write_bytes(encoder.to_bytes())
    wrong.write_bytes(other_encoder.to_bytes())
    for given in (right, str(right), encoder.to_bytes(), encoder):
        with SearchClient(db, given, "plain") as client:  # `plain` does not keep its encoder
            assert len(client.search(query, limit=3)) == 3
    for given in (wrong, other_encoder.to_bytes(), other_encoder):
        with pytest.raises(EncoderMismatch, match="leave the encoder out"):
            SearchClient(db, given)
    SearchClient(db).close()  # a refused client leaves the directory free


def test_what_is_no_encoder_is_told_from_the_wrong_one(db: Path, encoder: Encoder, tmp_path: Path) -> None:
    cut, text = tmp_path / "cut.onnx", tmp_path / "text.onnx"
    cut.write_bytes(encoder.to_bytes()[:-100])
    text.write_text("not an encoder")
    for given in (cut, text, tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(EncoderError) as caught:
            SearchClient(db, given)
        assert not isinstance(caught.value, EncoderMismatch)
        assert given.name in str(caught.value)


def test_a_collection_that_does_not_keep_its_encoder_asks_for_it(db: Path, query: Path, pictures: list[Path]) -> None:
    with SearchClient(db, collection="plain") as client:
        assert len(client.search(pictures[0], limit=3)) == 3  # nothing to encode
        with pytest.raises(EncoderError, match="--encoder"):
            client.search(query)


def test_a_damaged_encoder_in_the_database_is_named(db: Path, query: Path, other_encoder: Encoder) -> None:
    kept = next(db.rglob("images/**/encoder.onnx"))
    kept.write_bytes(other_encoder.to_bytes())
    with SearchClient(db) as client, pytest.raises(EncoderMismatch, match="keeps"):
        client.search(query)


def test_databases_and_collections_that_are_not_there(db: Path, tmp_path: Path, query: Path) -> None:
    with pytest.raises(NotADatabase, match="does not exist"):
        SearchClient(tmp_path / "nothing")
    with pytest.raises(NotADatabase):
        SearchClient(query.parent)
    with pytest.raises(NotADatabase):
        SearchClient(query)
    with pytest.raises(CollectionNotFound, match="images"):
        SearchClient(db, collection="photos")
    with pytest.raises(InvalidInput, match="collection name"):
        SearchClient(db, collection="../images")
    with pytest.raises(InvalidInput, match="timeout"):
        SearchClient(db, timeout=0)


def test_asking_with_indexed_pictures_loads_neither_onnx_runtime_nor_opencv(db: Path, pictures: list[Path]) -> None:
    code = (
        "import sys\nfrom semblant_search import SearchClient\n"
        f"with SearchClient({str(db)!r}) as client:\n"
        f"    assert client.search({str(pictures[0])!r}) and client.search_features({str(pictures[-1])!r}, verify=False)\n"
        "print(*({'onnxruntime', 'cv2', 'qdrant_client', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
