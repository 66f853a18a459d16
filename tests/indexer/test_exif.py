"""What cameras wrote into pictures: when, with what and where, each as far as it makes sense."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from semblant_search import FieldType
from semblant_search.writing.exif import EXIF_FIELDS, exif_facts

MAKE, MODEL, CHANGED, DETAILS, GPS = 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
ORIGINAL, OFFSET = 0x9003, 0x9011
NORTH_EAST = {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 21.0, 7.2)}


def facts(tags: dict[int, Any]) -> dict[str, Any]:
    """Through a real file, as a job meets it."""
    exif = Image.Exif()
    for tag, value in tags.items():
        if tag in (DETAILS, GPS):
            exif.get_ifd(tag).update(value)
        else:
            exif[tag] = value
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        return exif_facts(image)


def test_the_fields_and_their_types_are_part_of_the_format() -> None:
    assert EXIF_FIELDS == {"_taken_at": FieldType.DATETIME, "_camera": FieldType.KEYWORD, "_place": FieldType.GEO}


def test_all_three_facts_of_one_picture() -> None:
    tags = {MAKE: "Canon", MODEL: "EOS R5", DETAILS: {ORIGINAL: "2023:07:14 09:30:00", OFFSET: "+02:00"}, GPS: NORTH_EAST}
    assert facts(tags) == {
        "_taken_at": "2023-07-14T07:30:00Z",
        "_camera": "Canon EOS R5",
        "_place": {"lat": 48.8583333, "lon": 2.352},
    }
    assert facts({}) == {}


@pytest.mark.parametrize(
    ("tags", "moment"),
    [
        ({DETAILS: {ORIGINAL: "2023:07:14 09:30:15"}}, "2023-07-14T09:30:15Z"),
        ({DETAILS: {ORIGINAL: "2023:07:14 09:30:15", OFFSET: "+02:00"}}, "2023-07-14T07:30:15Z"),
        ({DETAILS: {ORIGINAL: "2023:07:14 09:30:15", OFFSET: "-0530"}}, "2023-07-14T15:00:15Z"),
        ({DETAILS: {ORIGINAL: "2023:07:14 09:30:15", OFFSET: "Z"}}, "2023-07-14T09:30:15Z"),
        ({CHANGED: "2022:01:02 03:04:05"}, "2022-01-02T03:04:05Z"),
        ({CHANGED: "2022:01:02 03:04:05", DETAILS: {ORIGINAL: "2023:07:14 09:30:15"}}, "2023-07-14T09:30:15Z"),
        ({DETAILS: {ORIGINAL: "2023-07-14 09:30:15"}}, "2023-07-14T09:30:15Z"),
        ({DETAILS: {ORIGINAL: "2023:07:14 09:30:15\0\0"}}, "2023-07-14T09:30:15Z"),
        ({DETAILS: {ORIGINAL: "0000:00:00 00:00:00"}}, None),
        ({DETAILS: {ORIGINAL: "2023:13:14 09:30:15"}}, None),
        ({DETAILS: {ORIGINAL: "2023:07:14"}}, None),
        ({DETAILS: {ORIGINAL: "    :  :     :  :  "}}, None),
        ({DETAILS: {ORIGINAL: "0001:01:01 00:00:00", OFFSET: "+02:00"}}, None),
        ({DETAILS: {OFFSET: "+02:00"}}, None),
    ],
)  # fmt: skip
def test_when_it_was_taken(tags: dict[int, Any], moment: str | None) -> None:
    assert facts(tags).get("_taken_at") == moment


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS R5", "Canon EOS R5"),
        ("CANON", "Canon EOS R5", "Canon EOS R5"),
        ("NIKON CORPORATION", "NIKON Z 5", "NIKON CORPORATION NIKON Z 5"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("Apple", None, "Apple"),
        (None, "X100", "X100"),
        (" FUJIFILM\0", " X100V \n", "FUJIFILM X100V"),
        ("\0", " ", None),
        (None, None, None),
    ],
)
def test_with_what_it_was_taken(make: str | None, model: str | None, camera: str | None) -> None:
    tags = {tag: value for tag, value in ((MAKE, make), (MODEL, model)) if value is not None}
    assert facts(tags).get("_camera") == camera


@pytest.mark.parametrize(
    ("gps", "place"),
    [
        (NORTH_EAST, (48.8583333, 2.352)),
        ({**NORTH_EAST, 1: "S"}, (-48.8583333, 2.352)),
        ({**NORTH_EAST, 3: "W"}, (48.8583333, -2.352)),
        ({**NORTH_EAST, 1: "s", 3: "w"}, (-48.8583333, -2.352)),
        ({**NORTH_EAST, 2: (90.0, 0.0, 0.0), 4: (180.0, 0.0, 0.0)}, (90.0, 180.0)),
        ({**NORTH_EAST, 2: (90.0, 0.0, 1.0)}, None),
        ({**NORTH_EAST, 4: (180.0, 0.0, 1.0)}, None),
        ({**NORTH_EAST, 4: (120.0, 30.0, 0.0)}, (48.8583333, 120.5)),
        ({**NORTH_EAST, 2: (0.0, 0.0, 36.0)}, (0.01, 2.352)),
        ({**NORTH_EAST, 2: (0.0, 36.0, 0.0)}, (0.6, 2.352)),
        ({2: (48.0, 0.0, 0.0), 4: (2.0, 0.0, 0.0)}, (48.0, 2.0)),
        ({1: "N", 2: (48.0, 51.0, 30.0)}, None),
        ({3: "E", 4: (2.0, 21.0, 7.2)}, None),
        ({**NORTH_EAST, 2: (48.0, 51.0)}, None),
        ({1: "N", 3: "E"}, None),
    ],
)
def test_where_it_was_taken(gps: dict[int, Any], place: tuple[float, float] | None) -> None:
    assert facts({GPS: gps}).get("_place") == (None if place is None else {"lat": place[0], "lon": place[1]})


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_costs_its_facts_only() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with Image.open(file) as image:
        assert exif_facts(image) == {}
    assert facts({MODEL: "X100", GPS: {**NORTH_EAST, 2: (48.0, 0.0)}}) == {"_camera": "X100"}
