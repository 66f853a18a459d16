"""Searching by details with what cannot be searched by: each answer says what is wrong and what to do."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw
from semblant_search import NoFeaturesError, SearchClient, StoreError
from semblant_search.cli import semblant
from semblant_search.orb import CALIBRATION_ASSET, Vocabulary, extract

if TYPE_CHECKING:
    from pathlib import Path


def triangle() -> Image.Image:
    """Three corners, and nothing else."""
    picture = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(picture).polygon([(100, 100), (200, 120), (140, 210)], fill=0)
    return picture


def assets(db: Path) -> Path:
    return db / "images" / "g0001" / "assets"


def saved_vocabulary(version: int) -> bytes:
    buffer, general = io.BytesIO(), Vocabulary.general()
    np.savez(buffer, format=np.int64(version), branches=general.branches, words=general.words)
    return buffer.getvalue()


def test_a_flat_picture_has_nothing_to_ask_with(indexed: Path) -> None:
    with SearchClient(indexed) as client:
        for flat in (Image.new("L", (300, 200), 90), Image.new("RGB", (1, 1)), Image.linear_gradient("L")):
            with pytest.raises(NoFeaturesError, match="whole look"):
                client.search_features(flat)


def test_a_picture_with_three_details_proves_nothing(indexed: Path) -> None:
    assert 0 < len(extract(np.asarray(triangle()))) < 100  # its corners and steps of its edges, on several scales
    with SearchClient(indexed) as client:
        assert client.search_features(triangle()) == []
        assert all(hit.probability < 0.99 for hit in client.search_features(triangle(), min_confidence=0))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (saved_vocabulary(99), "version 99"),
        (b"no zip file", "not a vocabulary"),
        (
            Vocabulary.train(np.random.default_rng(0).integers(0, 256, (99, 32), dtype=np.uint8)).to_bytes(),
            "holds visual words",
        ),
        (None, "lost its visual vocabulary"),
    ],
    ids=["version", "damaged", "other", "lost"],
)
def test_a_vocabulary_that_does_not_fit_says_how_to_make_one(db: Path, content: bytes | None, word: str) -> None:
    file = assets(db) / "vocabulary.npz"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with SearchClient(db) as client:
        with pytest.raises(StoreError, match=word) as error:
            client.search_features(triangle())
        assert "semblant vocabulary" in str(error.value)
        assert client.search(triangle(), limit=1)  # by look it goes on


def test_a_damaged_calibration_says_how_to_measure_it(db: Path) -> None:
    (assets(db) / CALIBRATION_ASSET).write_text('{"format": 2, "queries": 7}')
    with SearchClient(db) as client, pytest.raises(StoreError, match="semblant vocabulary"):
        client.search_features(triangle())


def test_a_query_of_a_hundred_megapixels_is_answered_and_a_larger_one_refused(indexed: Path, tmp_path: Path) -> None:
    with SearchClient(indexed) as client, pytest.raises(NoFeaturesError):
        client.search_features(Image.new("1", (10_000, 10_000)))
    Image.new("1", (10_001, 10_000)).save(tmp_path / "large.png")
    result = CliRunner().invoke(semblant, ["search", str(tmp_path / "large.png"), "--db", str(indexed), "--features"])
    assert result.exit_code == 1
    assert "100 megapixels" in result.stderr
    assert "smaller" in result.stderr


@pytest.mark.parametrize(("name", "word"), [("flat", "no ORB features"), ("truncated", "truncated"), ("text", "not a picture")])
def test_the_command_line_says_what_is_wrong_with_the_picture(indexed: Path, tmp_path: Path, name: str, word: str) -> None:
    file, buffer = tmp_path / "query.png", io.BytesIO()
    Image.effect_noise((64, 64), 90).save(buffer, "PNG")
    if name == "flat":
        Image.new("L", (90, 90), 3).save(file)
    else:
        file.write_bytes(buffer.getvalue()[:900] if name == "truncated" else b"hello")
    result = CliRunner().invoke(semblant, ["search", str(file), "--db", str(indexed), "--features"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert word in result.stderr
    assert "Traceback" not in result.stderr
