"""Adding pictures through a client, changing what is said of them, and taking them out: in a directory and on a server."""

from __future__ import annotations

import io
import random
import re
import threading
import unicodedata
import uuid
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import (
    F,
    FieldType,
    ImageError,
    InvalidInput,
    MetadataError,
    NewPicture,
    Picture,
    PointNotFound,
    SearchClient,
    canonical_uri,
    point_id,
)
from semblant_search.store import open_database
from support.servers import REAL, database_of, knows, own_name, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from semblant_search import Encoder


@pytest.fixture(params=["directory", "stand-in", REAL])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, pictures: list[Path], write: Callable[..., None], encoder: Encoder
) -> Iterator[SearchClient]:
    """A client of a collection of the first twenty pictures."""
    if request.param == "directory":
        with closing(open_database(tmp_path / "db", create=True)) as database:
            write(database, pictures[:20])
        with SearchClient(tmp_path / "db", encoder) as client:
            yield client
        return
    url = url_of(request.param)
    with own_name(url) as name, database_of(url) as database:
        write(database, pictures[:20], collection=name)
        with SearchClient(url, encoder, name) as client:
            yield client


@pytest.fixture(scope="session")
def new(pictures: list[Path]) -> list[Path]:
    """Pictures that the collection does not hold."""
    return pictures[20:220]


def uris(hits: list[Any]) -> list[str]:
    return [hit.uri for hit in hits]


def test_an_added_picture_is_found_at_once_by_look_details_and_metadata(client: SearchClient, new: list[Path]) -> None:
    added = client.add(new[0], {"label": "new", "price": 5, "stock": 7})
    uri = canonical_uri(new[0])
    assert (added.uri, added.id, added.path) == (uri, point_id(uri), new[0])
    assert added.metadata == {"label": "new", "price": 5.0, "stock": 7}
    assert (added.facts["_width"], added.facts["_bytes"]) == (28, new[0].stat().st_size)
    assert client.count() == 21
    assert client.get(new[0]) == added
    first = client.search(new[0], limit=1, include_self=True)[0]
    assert (first.uri, round(first.score, 5)) == (uri, 1)
    assert uris(client.search(new[1], where="stock == 7 and price < 6")) == [uri]
    assert uri in uris(client.search_features(new[0].read_bytes(), min_confidence=0))
    assert client.facet("label")["new"] == 1
    assert client.manifest.fields["stock"] is FieldType.INTEGER


def test_added_again_it_is_replaced_with_its_metadata(client: SearchClient, new: list[Path]) -> None:
    client.add(new[0], {"label": "old", "stock": 7})
    client.add(new[0], {"label": "new"})
    assert (client.count(), client.get(new[0]).metadata) == (21, {"label": "new"})


def test_pictures_of_every_kind_have_names(client: SearchClient, new: list[Path]) -> None:
    data = new[0].read_bytes()
    by_bytes = client.add(data)
    assert by_bytes.uri == f"sha256://{by_bytes.facts['_sha256']}"
    assert client.add(io.BytesIO(data)).id == by_bytes.id  # the same content is the same picture
    pixels = np.asarray(Image.open(new[0]))
    by_pixels = client.add(pixels)
    assert by_pixels.uri == f"sha256://{by_pixels.facts['_sha256']}" != by_bytes.uri
    assert (by_pixels.facts["_format"], by_pixels.facts["_bytes"]) == (None, 28 * 28)
    assert client.add(Image.fromarray(pixels)).uri == by_pixels.uri
    assert client.add(np.ascontiguousarray(pixels.T)).uri != by_pixels.uri
    assert client.add(pixels, uri="shop://items/17").uri == "shop://items/17"
    assert client.add(data, uri=new[0]).uri == canonical_uri(new[0])
    for name in ("file:///a%0Ab", "file:///a%2500", "shop://a b\u00a0c"):  # a file may have a line break in its name
        assert client.add(data, uri=name).uri == name
        assert client.delete([name]) == 1
    assert client.add(canonical_uri(new[0])).path == new[0]
    assert client.count() == 20 + 5
    assert client.get("shop://items/17").path is None
    assert uris(client.search("shop://items/17", limit=1))[0] in {by_bytes.uri, by_pixels.uri, canonical_uri(new[0])}


@pytest.mark.parametrize(
    ("picture", "uri", "error", "said"),
    [
        ("https://shop.example/1.png", None, InvalidInput, "reads local files only.*uri='https://shop.example/1.png'"),
        (b"none", "item 17", InvalidInput, "expected a URI with its scheme"),
        (b"none", "shop://", InvalidInput, "expected a URI with its scheme"),
        *((b"none", f"shop://a{one}b", InvalidInput, "without line breaks") for one in ("\n", "\0", "\x7f", "\x85", "\u2028")),
        (b"none", "shop://a\r\n", InvalidInput, r"URI 'shop://a\\r\\n': expected one without line breaks"),
        (b"none", "file:///a%00b", InvalidInput, "without %00"),
        (b"none", "file:///a\nb", InvalidInput, "without line breaks"),
        (b"none", Path("a\0b"), InvalidInput, "without %00"),
        (b"none", None, ImageError, "picture of 4 bytes"),
        ("no/such.png", None, ImageError, "^'no/such.png'.*no such file"),
        (3, None, ImageError, "^int: expected a picture"),
    ],
)
def test_what_cannot_be_added_says_why(db: Path, picture: Any, uri: Any, error: type[Exception], said: str) -> None:
    with SearchClient(db) as client:
        with pytest.raises(error, match=said):
            client.add(picture, uri=uri)
        assert client.count() == 300


def test_metadata_gets_the_types_of_its_values(client: SearchClient, new: list[Path]) -> None:
    moment = datetime(2024, 5, 6, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    added = client.add(
        new[0],
        {
            "sold": True,
            "stock": np.int64(3),
            "weight": Decimal("1.5"),
            "when": moment,
            "day": date(2024, 5, 6),
            "tags": ("red", "blue"),
            "shop": {"lat": 52.5, "lon": 13.4},
            "camera": {"iso": 100},
            "code": uuid.UUID(int=5),
            "none": None,
            "empty": "",
        },
    )
    kinds = {name: kind.value for name, kind in client.manifest.fields.items() if name[0] != "_"}
    for name, kind in {
        "sold": "bool",
        "stock": "integer",
        "weight": "float",
        "when": "datetime",
        "day": "datetime",
        "tags": "keyword",
        "shop": "geo",
        "camera.iso": "integer",
        "code": "keyword",
    }.items():
        assert kinds[name] == kind, name
    assert not kinds.keys() & {"none", "empty"}
    assert added.metadata["when"] == "2024-05-06T10:30:00Z"
    assert client.get(new[0]).metadata == added.metadata
    red = '"red" in tags' if knows((1, 20)) else 'tags == "red"'  # by a part of a text, which older servers refuse
    assert client.count(f'sold == true and {red} and when < "2024-05-07" and camera.iso == 100') == 1


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"price": "cheap"}, "'price' holds float in this collection; 'cheap' is keyword.*convert"),
        ({"label": 5}, "'label' holds keyword.*5 is integer"),
        ({"_uri": "x"}, "'_uri'.*Semblant's own"),
        ({"a.b": 1}, "dots"),
        ({"x": object()}, "'x'.*expected text"),
        ({"x": {"y": [object()]}}, "'x.y'"),
        ({"x": float("nan")}, "'x'.*nan"),
        ({3: 1}, "text as its name"),
        ([1], "expected a mapping"),
        ({"where": {"lat": 95, "lon": 0}}, "'where'.*geo"),
    ],
)
def test_metadata_that_cannot_be_kept_is_refused_and_changes_nothing(db: Path, metadata: Any, said: str) -> None:
    with SearchClient(db) as client:
        one = next(iter(client.search_vector(np.ones(client.manifest.dim), limit=1))).uri
        before, fields = client.get(one), dict(client.manifest.fields)
        with pytest.raises(MetadataError, match=said):
            client.add(b"", metadata) if "_uri" in metadata else client.add(before.path or "", metadata)
        with pytest.raises(MetadataError, match=said):
            client.update_metadata(one, metadata)
        assert (client.get(one), dict(client.manifest.fields), client.count()) == (before, fields, 300)


def test_a_field_is_filtered_by_whatever_form_of_unicode_its_name_is_written_in(client: SearchClient, new: list[Path]) -> None:
    composed, apart = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))
    client.add(new[0], {apart: 38})
    for where in (
        f"{composed} == 38",
        f"{apart} == 38",
        f"{composed} in [37, 38] or {composed} == 1",
        F(composed) == 38,
        F(apart) == 38,
    ):
        assert client.count(where) == 1
    client.add(new[1], {composed: 39})  # then there are two, and each has its own name
    assert (client.count(F(composed) == 39), client.count(F(apart) == 38), client.count(f"{composed} == 39")) == (1, 1, 1)


def test_many_are_added_and_bad_ones_named(client: SearchClient, new: list[Path]) -> None:
    items: list[Any] = [NewPicture(path, {"n": number}) for number, path in enumerate(new[:150])]
    items[3] = (b"no picture", {"n": 3})
    items[100] = (new[100], {"label": 5})
    items[120] = new[120]
    answers = client.add_many(iter(items), on_error="return")
    assert [number for number, one in enumerate(answers) if not isinstance(one, Picture)] == [3, 100]
    assert isinstance(answers[3], ImageError)
    assert (answers[3].index, str(answers[3])[:12]) == (3, "pictures[3]:")
    assert isinstance(answers[100], MetadataError)
    assert str(answers[100]).startswith("pictures[100]: metadata field 'label'")
    assert uris([one for one in answers if isinstance(one, Picture)]) == [
        canonical_uri(path) for number, path in enumerate(new[:150]) if number not in (3, 100)
    ]
    assert (client.count(), client.count(F("n") < 150)) == (168, 147)


def test_the_first_bad_one_ends_the_call_and_those_before_it_are_added(client: SearchClient, new: list[Path]) -> None:
    items: list[Any] = [(path, {"n": 1}) for path in new[:70]]
    items[67] = (new[67], {"label": 5})
    items[68] = b"no picture"
    with pytest.raises(MetadataError, match=r"^pictures\[67\]: "):
        client.add_many(items)
    assert client.count() == 87
    with pytest.raises(InvalidInput, match="expected a list"):
        client.add_many(new[0])  # type: ignore[arg-type]


def test_whole_numbers_among_the_first_decimals_are_decimals(client: SearchClient, new: list[Path]) -> None:
    client.add_many([(new[0], {"size": 3}), (new[1], {"size": 3.5})])
    assert client.manifest.fields["size"] is FieldType.FLOAT
    assert client.count("size > 3.2") == 1


def test_metadata_is_merged_replaced_and_deleted(client: SearchClient, pictures: list[Path]) -> None:
    one, other = pictures[0], pictures[1]
    before, facts = dict(client.get(one).metadata), client.get(one).facts
    assert client.update_metadata(one, {"sale": True, "price": 99}) == 1
    assert client.get(one).metadata == {**before, "sale": True, "price": 99.0}
    assert client.count("sale == true") == 1
    assert client.update_metadata([one, client.get(other).id], {"price": None}) == 2
    assert client.get(one).metadata == {"label": before["label"], "sale": True}
    assert client.update_metadata(where="sale == true", metadata={"label": "gone"}, replace=True) == 1
    assert client.get(one).metadata == {"label": "gone"}
    assert client.get(one).facts == facts
    assert client.search(one, limit=1, include_self=True)[0].uri == canonical_uri(one)
    assert client.update_metadata(where=F("price") < 0, metadata={"x": 1}) == 0
    with pytest.raises(PointNotFound, match="nowhere"):
        client.update_metadata([one, "nowhere.png"], {"label": "changed"})
    assert client.get(one).metadata == {"label": "gone"}


def test_pictures_are_deleted_by_name_or_by_a_filter(client: SearchClient, new: list[Path]) -> None:
    client.add(new[0], {"label": "new"})
    assert client.delete(where='label == "new"') == 1
    assert client.delete(where=F("price") < 5) == 5
    assert client.delete([new[0]]) == 0
    assert client.count() == 15
    for arguments in ({}, {"pictures": [new[0]], "where": "price < 5"}):
        with pytest.raises(InvalidInput, match="either pictures or where"):
            client.delete(**arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="a filter is where="):
        client.delete(F("price") < 5)  # type: ignore[arg-type]


def test_collections_without_details_take_pictures(db: Path, encoder: Encoder, new: list[Path]) -> None:
    with SearchClient(db, encoder, "plain") as client:
        client.add(new[0])
        assert client.search(new[0], limit=1, include_self=True)[0].uri == canonical_uri(new[0])


def test_many_threads_add_search_change_and_delete_without_an_error(client: SearchClient, new: list[Path]) -> None:
    """32 threads, each with pictures of its own: what one added it finds until it deletes it."""
    errors: list[BaseException] = []
    data = [path.read_bytes() for path in new[:16]]
    kept: list[str] = []

    def work(number: int) -> None:
        choices = random.Random(number)
        try:
            for turn in range(3):
                uri = f"shop://{number}/{turn}"
                client.add(choices.choice(data), {"owner": f"n{number}", "turn": turn}, uri)
                assert client.count(F("owner") == f"n{number}") == 1
                assert uri in uris(client.search(choices.choice(data), limit=10_000, where=F("turn") == turn))
                client.update_metadata(uri, {"price": turn + 0.5, f"field{turn}": turn})
                assert client.get(uri).metadata["price"] == turn + 0.5
                if turn < 2:
                    assert client.delete([uri]) == 1
            kept.append(uri)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {client.get(uri).metadata["turn"] for uri in kept} == {2}
    assert (len(kept), client.count(), client.count("field2 == 2")) == (32, 52, 32)


FAR = 2**63


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            {"n": FAR},
            {"n": 5},
            r"^pictures\[1\]: metadata field 'n' holds keyword since pictures\[0\] of this call, where 9223372036854775808 is "
            r"keyword, as whole numbers beyond 64 bits are; 5 is integer: convert the value, or give it another name$",
        ),
        (
            {"n": 5},
            {"n": FAR},
            r"holds integer since pictures\[0\] of this call, where 5 is integer; 92\d+ is keyword, as whole",
        ),
        ({"n": [1, FAR]}, {"n": 5}, r"since pictures\[0\] of this call, where 9223372036854775808 is keyword"),
        (
            {"a": 5},
            {"a": {"b": 1}},
            r"^pictures\[1\]: metadata field 'a' holds integer since pictures\[0\].*no names below.*'a.b'",
        ),
        ({"a": {"b": 1}}, {"a": 5}, r"field 'a' has names below it since pictures\[0\] of this call.*such as 'a.b'"),
        ({"label": "x"}, {"label": {"b": 1}}, r"'label' holds keyword in this collection, so that it has no names below it"),
        (
            {},
            {"price": FAR},
            r"'price' holds float in this collection; 92\d+ is keyword, as whole.*--rebuild for another type$",
        ),
    ],
)
def test_a_value_that_does_not_fit_hears_what_made_its_field(
    db: Path, new: list[Path], first: dict[str, Any], second: dict[str, Any], said: str
) -> None:
    with SearchClient(db) as client:
        added, error = client.add_many([(new[0], first), (new[1], second)], on_error="return")
        assert isinstance(added, Picture)
        assert isinstance(error, MetadataError)
        assert re.search(said, str(error)), str(error)


def test_whole_numbers_beyond_64_bits_are_text(db: Path, new: list[Path]) -> None:
    with SearchClient(db) as client:
        assert client.add(new[0], {"n": FAR}).metadata == {"n": str(FAR)}
        assert client.count(f'n == "{FAR}"') == 1
        with pytest.raises(MetadataError, match="number of about 2,001 digits; whole numbers beyond 64 bits are kept as text"):
            client.add(new[1], {"n": 10**2000})


def test_times_of_every_kind_are_times_and_those_beyond_the_calendar_are_refused(db: Path, new: list[Path]) -> None:
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    with SearchClient(db) as client:
        metadata = {
            "fine": np.datetime64("2024-05-06T10:30:00.123456789"),
            "some": np.array(["2024-05-06", "2024-05-07"], "datetime64[ns]"),
            "none": np.datetime64("NaT"),
            "first": datetime.min.replace(tzinfo=timezone.utc),
            "last": datetime.max.replace(tzinfo=timezone.utc),
        }
        added = client.add(new[0], metadata)
        assert added.metadata["fine"] == "2024-05-06T10:30:00.123456Z"
        assert added.metadata["some"] == ["2024-05-06T00:00:00Z", "2024-05-07T00:00:00Z"]
        assert "none" not in added.metadata
        assert client.count('first < "0001-01-02" and last > "9999-12-30"') == 1
        for beyond in (datetime.min.replace(tzinfo=east), datetime.max.replace(tzinfo=west), np.datetime64("9999999-01-01")):
            with pytest.raises(MetadataError, match=r"'when'.*beyond the years 1 to 9999"):
                client.add(new[1], {"when": beyond})
            if isinstance(beyond, datetime):
                with pytest.raises(InvalidInput, match="beyond the years 1 to 9999"):
                    client.count(F("first") < beyond)
