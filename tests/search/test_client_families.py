"""A collection of pages of one form: a page that it does not hold is no copy of the others, and a copy is one."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from semblant_search import SearchClient
from semblant_search.orb import CALIBRATION_ASSET, Calibration, Vocabulary, calibrate
from semblant_search.store import open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNT, STRANGERS = 40, 8


def invoice(number: int) -> Image.Image:
    """A page of text; number, date and amount take three lines of 0.3 % of it."""
    fixed, rng = np.random.default_rng(1), np.random.default_rng(100 + number)
    page = Image.new("L", (620, 877), 255)
    draw = ImageDraw.Draw(page)
    draw.text((50, 40), "INVOICE", fill=0, font=ImageFont.load_default(30))
    day, month = rng.integers(1, 29), rng.integers(1, 13)
    amount = rng.integers(1000, 999_999) / 100
    for row, line in enumerate(
        (f"Number: {rng.integers(1000, 999_999)}", f"Date: {day}.{month}.2024", f"Amount: {amount} EUR")
    ):
        draw.text((50, 100 + 20 * row), line, fill=0, font=ImageFont.load_default(12))
    letters = np.array(list("abcdefghijklmnoprstuvw"))
    for row in range(34):
        words = " ".join("".join(fixed.choice(letters, fixed.integers(3, 9))) for _ in range(13))
        draw.text((50, 210 + 17 * row), words, fill=0, font=ImageFont.load_default(11))
    return page


@pytest.fixture(scope="module")
def invoices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("invoices")
    paths = [folder / f"{number:02d}.png" for number in range(COUNT)]
    for number, path in enumerate(paths):
        invoice(number).save(path)
    return paths


@pytest.fixture(scope="module")
def measured(
    invoices: list[Path], index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Calibration]:
    """A database of them, and what it measured of itself."""
    path = tmp_path_factory.mktemp("families") / "db"
    index(path, invoices)
    with closing(open_database(path)) as database, closing(database.open("images")) as store:
        found = calibrate(store, Vocabulary.general())
        store.put_asset(CALIBRATION_ASSET, found.to_bytes())
    return path, found


@pytest.fixture(scope="module")
def client(measured: tuple[Path, Calibration]) -> Iterator[SearchClient]:
    with SearchClient(measured[0]) as client:
        yield client


def changed(picture: Image.Image, change: str) -> bytes:
    buffer = io.BytesIO()
    if change == "half size":
        picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    if change == "JPEG 15":
        picture.save(buffer, "JPEG", quality=15)
    else:
        picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def test_a_page_that_the_collection_does_not_hold_is_no_copy_of_the_others(client: SearchClient) -> None:
    for number in range(COUNT, COUNT + STRANGERS):
        query = changed(invoice(number), "as it is")
        assert client.search_features(query) == []
        assert client.search_features(query, min_confidence=0.9) == []
        asked = client.search_features(query, min_confidence=0, limit=3)
        assert {hit.verdict for hit in asked} == {"lookalike"}


@pytest.mark.parametrize(("change", "verdict"), [("as it is", "copy"), ("JPEG 15", "copy"), ("half size", "rotated/scaled")])
def test_a_copy_of_a_page_is_found_among_all_that_are_alike(
    client: SearchClient, invoices: list[Path], change: str, verdict: str
) -> None:
    found = 0
    for number in range(0, COUNT, 5):
        hits = client.search_features(changed(invoice(number), change))
        assert len(hits) <= 1
        assert all((hit.path, hit.verdict) == (invoices[number], verdict) and hit.probability >= 0.99 for hit in hits)
        found += len(hits)
    assert found >= 7  # of 8


def test_the_page_s_own_pixels_settle_it_at_any_confidence_and_come_first(client: SearchClient, invoices: list[Path]) -> None:
    hits = client.search_features(changed(invoice(7), "as it is"), min_confidence=0, limit=5)
    assert (hits[0].path, hits[0].verdict) == (invoices[7], "copy")
    assert {hit.verdict for hit in hits[1:]} == {"lookalike"}
    assert len({hit.id for hit in hits}) == 5


def test_a_page_whose_file_is_gone_or_another_by_now_is_not_proven(client: SearchClient, invoices: list[Path]) -> None:
    query, before = changed(invoice(12), "as it is"), invoices[12].read_bytes()
    try:
        invoice(COUNT).save(invoices[12])
        assert client.search_features(query) == []
        invoices[12].unlink()
        assert client.search_features(query) == []
    finally:
        invoices[12].write_bytes(before)
    assert client.search_features(query)[0].path == invoices[12]


def test_such_a_collection_counts_its_pages_as_lookalikes(measured: tuple[Path, Calibration]) -> None:
    """Most of them differ in less than a thumbnail shows."""
    _, found = measured
    assert found.laid_over.start > Calibration.general().laid_over.start + 15
    assert found.pixels == Calibration.general().pixels.measured([-20.0] * COUNT)


def calendar(number: int) -> Image.Image:
    """A month that begins on any of seven days: its grid is shifted by a column where it lies over another one."""
    page = Image.new("RGB", (800, 700), "white")
    draw = ImageDraw.Draw(page)
    month = ("January", "March", "May", "July", "August", "October", "December")[number // 7 % 7]
    title = f"{month} {1900 + number // 49}"
    draw.text((400, 35), title, fill=(150, 0, 0), font=ImageFont.load_default(34), anchor="mm")
    for column, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")):
        draw.text((20 + 110 * column, 75), name, fill=0, font=ImageFont.load_default(18))
    for day in range(31):
        row, column = divmod(day + number % 7, 7)
        left, top = 15 + 110 * column, 105 + 95 * row
        draw.rectangle((left, top, left + 105, top + 90), outline=(150, 150, 150))
        draw.text((left + 7, top + 5), str(day + 1), fill=0, font=ImageFont.load_default(20))
    return page


def test_pages_whose_grid_is_shifted_are_not_proven_to_show_each_other(index: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "months").mkdir()
    paths = [tmp_path / "months" / f"{number:03d}.png" for number in range(120)]
    for number, path in enumerate(paths):
        calendar(number).save(path)
    index(tmp_path / "db", paths)
    with closing(open_database(tmp_path / "db")) as database, closing(database.open("images")) as store:
        found = calibrate(store, Vocabulary.general(), sample=48)  # of 24 it depends on which: ids follow from paths
        store.put_asset(CALIBRATION_ASSET, found.to_bytes())
    assert found.pixels.start > Calibration.general().pixels.start + 2
    with SearchClient(tmp_path / "db") as client:
        for number in (5000, 5009, 5014, 5021, 5028, 5035):  # each was proven to contain one of another beginning
            assert client.search_features(changed(calendar(number), "as it is"), min_confidence=0.95) == []
