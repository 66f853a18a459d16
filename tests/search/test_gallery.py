"""The gallery: what a report shows of an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from semblant_search import Hit, InvalidInput, canonical_uri, draw_gallery
from semblant_search.drawing.gallery import BOX, caption_of, save_picture, thumbnail
from semblant_search.drawing.typography import Typography
from semblant_search.images import open_image


def hit(path: str | Path, score: float = 0.5, **metadata: object) -> Hit:
    uri = path if isinstance(path, str) and "://" in path else canonical_uri(Path(path))
    return Hit(id="", uri=uri, metadata=metadata, score=score)


def contains(canvas: Image.Image, tile: Image.Image) -> bool:
    """Whether the tile's inner pixels appear unchanged in the canvas."""
    inner = np.asarray(tile)[2:-2, 2:-2]
    pixels = np.asarray(canvas)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, inner.shape)[:, :, 0]
    rows, columns = np.nonzero((windows[:, :, 0, 0] == inner[0, 0]).all(axis=-1))
    return any((windows[r, c] == inner).all() for r, c in zip(rows, columns, strict=True))


@pytest.fixture
def sneakers(fashion_small: Path) -> list[Path]:
    return sorted((fashion_small / "test" / "sneaker").glob("*.png"))


def test_every_hit_and_the_query_are_drawn(sneakers: list[Path]) -> None:
    canvas = draw_gallery([hit(path) for path in sneakers[1:4]], query=sneakers[0], columns=2)
    for path in sneakers[:4]:
        assert contains(canvas, thumbnail(open_image(path)))
    assert not contains(canvas, thumbnail(open_image(sneakers[5])))


def test_more_hits_than_columns_make_more_rows(sneakers: list[Path]) -> None:
    hits = [hit(path) for path in sneakers[:6]]
    one, two = draw_gallery(hits, columns=6), draw_gallery(hits, columns=3)
    assert two.height > one.height + BOX
    assert two.width < one.width - 2 * BOX


def test_titles_above_few_hits_are_not_cut(sneakers: list[Path]) -> None:
    title = "60,000 pictures · the details of one turned sneaker"
    drawing = draw_gallery([hit(sneakers[0])], query=sneakers[1], title=title)
    ink = np.nonzero((np.asarray(drawing)[:50] < 128).all(axis=2).any(axis=0))[0]
    assert ink.max() - ink.min() > 0.95 * Typography.covering(title).length(title, 24)
    assert draw_gallery([hit(sneakers[0])], title="w" * 500).width < 1300


def test_tiny_pictures_are_enlarged_without_smoothing(sneakers: list[Path]) -> None:
    with Image.open(sneakers[0]) as picture:
        grey = np.asarray(picture)
    tile = np.asarray(thumbnail(open_image(sneakers[0])))
    margin = (BOX - 7 * 28) // 2
    inner = tile[margin : margin + 196, margin : margin + 196]
    assert (inner == np.repeat(np.repeat(grey, 7, axis=0), 7, axis=1)[:, :, None]).all()


def test_the_aspect_ratio_is_kept() -> None:
    tile = np.asarray(thumbnail(Image.new("RGB", (1000, 250), "red")))
    red = (tile == (255, 0, 0)).all(axis=2)
    assert red.any(axis=0).sum() == BOX
    assert red.any(axis=1).sum() == BOX // 4


def test_transparency_shows_a_light_checker() -> None:
    tile = thumbnail(Image.new("RGBA", (300, 300), (0, 0, 0, 0)))
    colours = np.unique(np.asarray(tile).reshape(-1, 3), axis=0)
    assert len(colours) == 2
    assert colours.min() > 220


def test_a_missing_file_becomes_a_placeholder(sneakers: list[Path], tmp_path: Path) -> None:
    present = draw_gallery([hit(sneakers[0])])
    missing = draw_gallery([hit(tmp_path / "gone.png", label="x")])
    assert missing.size == present.size
    assert ImageChops.difference(missing, present).getbbox() is not None


@pytest.mark.parametrize(
    "place", ["https://example.org/a.png", "s3://bucket/key.jpg", "file:///nosuch/%D1%84%E6%BC%A2%FF.png"], ids=str
)
def test_pictures_elsewhere_and_odd_names_do_not_break_the_drawing(place: str) -> None:
    odd, plain = hit(place, label="漢字\n\x00\udce9 " + "very long " * 40), hit(place, label="x")
    drawing = draw_gallery([odd], title="t\n" * 300)
    assert drawing.height == draw_gallery([plain], title="t").height, "nothing takes a second line"
    ink = np.nonzero((np.asarray(drawing)[-60:] < 250).any(axis=(0, 2)))[0]
    assert ink.max() < drawing.width - 20, "nothing runs into the margin"


def test_no_hits_is_a_picture_too(sneakers: list[Path]) -> None:
    assert contains(draw_gallery([], query=sneakers[0], title="nothing"), thumbnail(open_image(sneakers[0])))


def test_a_hit_is_captioned_by_its_label_or_else_by_its_file_name() -> None:
    assert caption_of(hit("/a/b%20c.png", label="Coat")) == "Coat"
    assert caption_of(hit("/a/b c.png")) == "b c.png"


def test_long_text_is_cut_to_its_width() -> None:
    fonts = Typography.covering("w" * 500)
    text = fonts.elide("w" * 500, 15, 208)
    assert text.endswith("…")
    assert 180 < fonts.font(15).getlength(text) <= 208
    assert fonts.elide("short", 15, 208) == "short"


@pytest.mark.parametrize("columns", [0, 21])
def test_impossible_columns_are_refused(columns: int) -> None:
    with pytest.raises(InvalidInput, match="columns"):
        draw_gallery([], columns=columns)


@pytest.mark.parametrize("name", ["no/such/folder/a.png", "a.nosuchformat", "a"])
def test_a_drawing_that_cannot_be_written_says_why(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        save_picture(draw_gallery([]), tmp_path / name)
