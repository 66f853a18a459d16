"""Many pictures in one call: the answers of one call for each, in bounded memory, and bad pictures by their place."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import Encoder, ImageError, InvalidInput, PointNotFound, SearchClient, WhereError, canonical_uri
from semblant_search.encoder import ENCODED_AT_ONCE
from semblant_search.querying.batches import QUERIES_AT_ONCE
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.images import ImageSource


@pytest.fixture(scope="module")
def client(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchClient]:
    import shutil

    db = tmp_path_factory.mktemp("batches") / "pictures.db"
    shutil.copytree(indexed, db)
    with SearchClient(db) as client:
        yield client


def strangers(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(rng.integers(0, 256, (7, 7), np.uint8)).resize((28, 28)) for _ in range(count)]


def ids(hits: Any) -> list[str]:
    return [hit.id for hit in hits]


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("min_score", [None, 0.9])
@pytest.mark.parametrize("include_self", [False, True])
def test_each_answer_is_that_of_a_call_of_its_own_also_beyond_a_chunk(
    client: SearchClient, pictures: list[Path], offset: int, min_score: float | None, include_self: bool
) -> None:
    others = iter(strangers(QUERIES_AT_ONCE))
    asked: list[ImageSource] = [path if n % 3 else next(others) for n, path in enumerate(pictures[: 2 * QUERIES_AT_ONCE + 1])]
    options: dict[str, Any] = {
        "limit": 4, "offset": offset, "min_score": min_score, "include_self": include_self, "exact": True,
    }  # fmt: skip
    found = client.search_batch(iter(asked), where="price >= 10", **options)
    assert len(found) == len(asked)
    for n in (0, 1, QUERIES_AT_ONCE - 1, QUERIES_AT_ONCE, 2 * QUERIES_AT_ONCE):
        assert ids(found[n]) == ids(client.search(asked[n], where="price >= 10", **options))
    if min_score is not None:
        assert all(hit.score >= min_score - 1e-6 for hits in found for hit in hits)


def test_embeddings_beyond_a_chunk_are_those_of_each_alone(client: SearchClient) -> None:
    asked = strangers(2 * ENCODED_AT_ONCE + 1)
    alone = np.concatenate([client.embed([picture]) for picture in asked])
    for vectors in (client.embed(asked), client.embed(picture for picture in asked)):
        assert vectors.dtype == np.float32
        assert vectors.shape == alone.shape
        np.testing.assert_allclose(vectors, alone, atol=1e-6)
    assert client.embed([]).shape == (0, 49)
    assert client.search_batch([]) == []


def test_the_first_bad_picture_is_named_by_its_place(client: SearchClient, pictures: list[Path], tmp_path: Path) -> None:
    asked: list[ImageSource] = [*pictures[:70], tmp_path / "gone.png", b"junk"]
    for ask in (client.search_batch, client.embed):
        with pytest.raises(ImageError, match=r"^pictures\[70\]: '.*gone\.png': no such file") as caught:
            ask(asked)
        assert (caught.value.index, caught.value.reason) == (70, "missing")
    with pytest.raises(PointNotFound, match=r"^pictures\[1\]: 'https://example\.org/none\.png': no picture of collection"):
        client.search_batch([pictures[0], "https://example.org/none.png"])
    with pytest.raises(ImageError, match=r"^picture of 4 bytes") as caught:  # it needs no place
        client.search(b"junk")
    assert caught.value.index is None


def test_errors_may_stand_where_the_hits_would(client: SearchClient, pictures: list[Path], tmp_path: Path) -> None:
    asked: list[ImageSource] = list(pictures[: QUERIES_AT_ONCE + 5])
    asked[0], asked[7], asked[-1] = b"junk", tmp_path / "gone.png", "https://example.org/none.png"
    found = client.search_batch(asked, 3, on_error="return")
    assert [n for n, hits in enumerate(found) if not isinstance(hits, list)] == [0, 7, len(asked) - 1]
    first, second, last = found[0], found[7], found[-1]
    assert isinstance(first, ImageError)
    assert (first.index, first.reason, str(first)[:33]) == (0, "not-an-image", "pictures[0]: picture of 4 bytes: ")
    assert isinstance(second, ImageError)
    assert (second.index, second.reason) == (7, "missing")
    assert isinstance(last, PointNotFound)
    assert str(last).startswith(f"pictures[{len(asked) - 1}]: ")
    assert ids(found[8]) == ids(client.search(asked[8], 3))
    assert isinstance(client.search_batch([b"junk"], on_error="return")[0], ImageError)


def test_other_errors_are_raised_whatever_is_said_of_pictures(client: SearchClient, pictures: list[Path]) -> None:
    with pytest.raises(InvalidInput, match="on_error 'ignore': expected one of 'raise', 'return'"):
        client.search_batch(pictures[:1], on_error="ignore")  # type: ignore[call-overload]
    for options in ({"limit": 0}, {"offset": -1}, {"min_score": 2.0}, {"where": "no such"}):
        with pytest.raises(InvalidInput):
            client.search_batch(pictures[:1], on_error="return", **options)


def test_an_encoder_names_the_bad_picture_too(encoder: Encoder) -> None:
    with pytest.raises(ImageError, match=r"^pictures\[2\]: picture of 4 bytes") as caught:
        encoder.encode_pictures([*strangers(2), b"junk"])
    assert caught.value.index == 2


def test_a_picture_of_the_collection_is_left_out_of_each_page(client: SearchClient, pictures: list[Path]) -> None:
    own = canonical_uri(pictures[5])
    pages = [client.search_batch([own], 2, offset=offset, exact=True)[0] for offset in (0, 2, 4)]
    assert [hit.id for page in pages for hit in page] == ids(client.search(own, 6, exact=True))


def test_open_files_of_a_batch_are_read_when_their_turn_comes(client: SearchClient, pictures: list[Path]) -> None:
    at_once, most = 0, 0

    class Counted(io.BytesIO):
        """Closed by whoever gave it out, when the next one is asked for."""

    def sources() -> Iterator[io.BytesIO]:
        nonlocal at_once, most
        for path in pictures[:40]:
            with Counted(path.read_bytes()) as file:
                at_once += 1
                most = max(most, at_once)
                yield file
            at_once -= 1

    assert client.embed(sources()).shape == (40, 49)
    assert most == 1


def test_a_picture_too_small_for_the_region_is_that_items_error(write_with: Any, pictures: list[Path], tmp_path: Path) -> None:
    celled = Encoder(encoder_bytes("grey-64-cells"), threads=1)
    write_with(tmp_path / "db", celled, pictures[:6])
    asked: list[ImageSource] = [*pictures[:3], Image.new("L", (4, 4), 9), "", None, pictures[4]]  # type: ignore[list-item]
    with SearchClient(tmp_path / "db", celled) as client:
        found = client.search_batch(asked, 2, region=(10, 10, 12, 12), on_error="return")
        assert [n for n, hits in enumerate(found) if not isinstance(hits, list)] == [3, 4, 5]
        assert isinstance(found[3], InvalidInput)
        assert str(found[3]).startswith("pictures[3]: region 10,10,12,12: lies outside the picture")
        assert isinstance(found[4], InvalidInput)
        assert isinstance(found[5], ImageError)
        assert ids(found[6]) == ids(client.search(pictures[4], 2, region=(10, 10, 12, 12)))
        with pytest.raises(InvalidInput, match=r"^pictures\[3\]: region"):
            client.search_batch(asked, 2, region=(10, 10, 12, 12))
        for whole in ({"region": (1, 2, 3)}, {"region": (0, 0, 0, 0)}, {"region": (0, 0, 9, 9), "where": "nosuch == 1"}):
            with pytest.raises(InvalidInput, match=r"^(region|unknown field)"):
                client.search_batch(asked, on_error="return", **whole)


def test_what_is_wrong_for_every_picture_ends_the_call_unnamed(client: SearchClient, pictures: list[Path]) -> None:
    with pytest.raises(InvalidInput, match=r"^collection 'images' keeps no cells"):
        client.search_batch(pictures[:2], region=(0, 0, 9, 9), on_error="return")
    with pytest.raises(WhereError, match=r"^unknown field 'nosuch'"):
        client.search_batch(pictures[:2], where="nosuch == 1", on_error="return")


def test_one_rule_tells_items_errors_from_others_in_every_call_of_several(client: SearchClient, pictures: list[Path]) -> None:
    for bad, error in (("", InvalidInput), (b"junk", ImageError), ("shop://\ud800", InvalidInput)):
        for call, named in (
            (lambda bad=bad: client.search_batch([pictures[0], bad]), "pictures[1]: "),
            (lambda bad=bad: client.add_many([(pictures[0], {}), bad]), "pictures[1]: "),
            (lambda bad=bad: client.search_like([pictures[0], bad]), "like[1]: "),
            (lambda bad=bad: client.search_like([pictures[0]], unlike=[bad]), "unlike[0]: "),
            (lambda bad=bad: client.discover(bad, [(pictures[0], pictures[1])]), "target: "),
        ):
            with pytest.raises(error) as caught:
                call()
            assert str(caught.value).startswith(named), str(caught.value)
