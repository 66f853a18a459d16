"""The second tier: the same picture, changed all over, and what is too different for that."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from semblant_search.duplicates.changes import changes_between
from semblant_search.duplicates.pixels import oriented
from semblant_search.duplicates.signatures import Box, content_box, invariants, nearest, normalized, signature_of

if TYPE_CHECKING:
    from pathlib import Path

ALL: Box = (0.0, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    with Image.open(photos / "coffee.png") as picture:
        return picture.convert("RGB")


def between(one: Image.Image, other: Image.Image, turn: int = 0) -> tuple[str, ...] | None:
    """With the border of the second left out, as it is searched for."""
    pixels = np.asarray(other.convert("RGB"))
    return changes_between(np.asarray(one), ALL, pixels, content_box(pixels), turn)


def compressed(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=85)
    return Image.open(buffer).convert("RGB")


def watermarked(picture: Image.Image, alpha: int) -> Image.Image:
    layer = Image.new("RGBA", picture.size, (255, 255, 255, 0))
    ImageDraw.Draw(layer).text((60, 220), "© PREVIEW", fill=(255, 255, 255, alpha), font_size=80)
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def test_each_change_is_called_what_it_is(coffee: Image.Image) -> None:
    assert between(coffee, compressed(coffee)) == ("recompressed",)
    assert between(coffee, compressed(ImageOps.mirror(coffee)), 4) == ("mirrored",)
    assert between(coffee, compressed(ImageOps.mirror(coffee))) is None
    assert between(coffee, compressed(ImageOps.expand(coffee, 20, "black"))) == ("framed",)
    assert between(coffee, compressed(ImageOps.expand(coffee, 20, (170, 30, 40)))) == ("framed",)
    assert between(coffee, ImageEnhance.Brightness(coffee).enhance(1.3)) == ("recoloured",)
    assert between(coffee, ImageEnhance.Contrast(coffee).enhance(0.6)) == ("recoloured",)
    assert between(coffee, coffee.convert("L")) == ("recoloured",)
    assert between(coffee, compressed(watermarked(coffee, 115))) == ("watermark",)


def dark_cornered(picture: Image.Image) -> Image.Image:
    """With a corner as black as a border, which is taken for a part of it."""
    dark = picture.copy()
    ImageDraw.Draw(dark).polygon([(0, 0), (picture.width, 0), (picture.width, 12), (0, picture.height * 2 // 3)], fill="black")
    return dark


@pytest.mark.parametrize("turn", range(8))
def test_a_border_that_takes_a_dark_edge_with_it_is_fitted_to_the_picture(coffee: Image.Image, turn: int) -> None:
    dark = dark_cornered(coffee)
    framed = np.asarray(compressed(ImageOps.expand(dark, 20, "black")))
    assert content_box(framed)[1] * framed.shape[0] > 25
    laid = np.ascontiguousarray(oriented(np.asarray(dark), turn))
    why = changes_between(framed, content_box(framed), laid, ALL, turn)
    assert why is not None
    assert "framed" in why
    assert "recoloured" not in why
    back = turn if turn >= 4 else -turn % 4  # mirroring undoes itself, whatever it is turned by
    why = changes_between(laid, ALL, framed, content_box(framed), back)
    assert why is not None
    assert "framed" in why


def test_something_else_within_a_border_is_another_picture(coffee: Image.Image) -> None:
    other = dark_cornered(coffee)
    other.paste(coffee.crop((230, 130, 290, 190)), (450, 300))
    framed = np.asarray(compressed(ImageOps.expand(other, 20, "black")))
    assert changes_between(framed, content_box(framed), np.asarray(dark_cornered(coffee)), ALL, 0) is None


def test_colours_that_were_cut_off_at_white_are_followed() -> None:
    """A card that is nearly white becomes white, and its shadow is lost."""
    card = Image.new("RGB", (140, 190), "white")
    draw = ImageDraw.Draw(card)
    draw.rounded_rectangle((2, 2, 136, 186), 10, fill=(245, 245, 225), outline=(120, 110, 90), width=2)
    for row in range(4):
        draw.ellipse((30, 20 + 40 * row, 60, 50 + 40 * row), fill=(230, 20, 20))
        draw.rectangle((80, 20 + 40 * row, 110, 50 + 40 * row), fill=(30, 30, 140))
    brighter = ImageEnhance.Brightness(card).enhance(1.25)
    assert changes_between(np.asarray(card), ALL, np.asarray(brighter), ALL, 0) == ("recoloured",)


def test_a_watermark_of_thin_letters_is_seen_through_compression(coffee: Image.Image) -> None:
    small = coffee.resize((180, 120), Image.Resampling.LANCZOS)
    layer = Image.new("RGBA", small.size, (255, 255, 255, 0))
    ImageDraw.Draw(layer).text((18, 72), "© PREVIEW", fill=(255, 255, 255, 115), font_size=22)
    marked = Image.alpha_composite(small.convert("RGBA"), layer)
    assert between(small, compressed(marked)) == ("watermark",)


def test_other_colours_are_another_picture(coffee: Image.Image) -> None:
    red, green, blue = coffee.split()
    assert between(coffee, Image.merge("RGB", (blue, green, red))) is None
    assert between(coffee, ImageOps.invert(coffee)) is None


def test_a_thing_that_came_or_moved_is_no_watermark(coffee: Image.Image) -> None:
    for colour in ("white", "black", (30, 60, 160)):
        changed = coffee.copy()
        ImageDraw.Draw(changed).rectangle((250, 150, 330, 200), fill=colour)
        assert between(coffee, changed) is None
    moved = coffee.copy()
    moved.paste(coffee.crop((230, 130, 300, 200)), (60, 60))
    assert between(coffee, moved) is None


def test_pages_of_one_template_are_not_one_picture() -> None:
    pages = []
    for name in ("Anna Miller", "Peter Smith"):
        page = Image.new("RGB", (500, 600), "white")
        draw = ImageDraw.Draw(page)
        for row in range(9):
            draw.rectangle((150, 40 + 60 * row, 450, 80 + 60 * row), outline="black")
            draw.text((20, 50 + 60 * row), f"Field {row}", fill="black", font_size=20)
        draw.text((160, 50 + 60 * 3), name, fill="navy", font_size=22)
        pages.append(page)
    assert changes_between(np.asarray(pages[0]), ALL, np.asarray(pages[1]), ALL, 0) is None
    assert changes_between(np.asarray(pages[0]), ALL, np.asarray(compressed(pages[0])), ALL, 0) == ("recompressed",)


def test_a_border_is_found_where_there_is_one(coffee: Image.Image) -> None:
    pixels = np.asarray(compressed(ImageOps.expand(coffee, (30, 10, 0, 20), "white")))
    left, top, right, bottom = content_box(pixels)
    assert (left * 630, top * 430) == pytest.approx((30, 10), abs=1.5)
    assert (right * 630, bottom * 430) == pytest.approx((630, 410), abs=1.5)
    assert content_box(np.asarray(coffee)) == ALL
    assert content_box(np.full((50, 60, 3), 200, np.uint8)) == ALL


def test_orientations_leave_the_invariants_as_they_are_and_never_push_pictures_apart() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    turns = np.stack([np.rot90(each, turn) for each in (one, one[:, ::-1]) for turn in range(4)])
    assert np.allclose(invariants(turns), invariants(turns[:1]), atol=0.05)
    least = min(float(np.linalg.norm(turn.astype(float) - other)) for turn in turns)
    assert float(np.linalg.norm(invariants(turns[:1]) - invariants(other[None]))) <= least
    assert normalized(np.full((16, 16, 3), 9, np.uint8)) is None


def test_nearest_are_the_earlier_ones_within_the_distance() -> None:
    points = np.random.default_rng(2).normal(size=(600, 3)).astype(np.float32)
    for row, found in enumerate(nearest(points, 0.6)):
        away = np.linalg.norm(points[:row] - points[row], axis=1)
        expected = [number for number in np.argsort(away, kind="stable") if away[number] <= 0.6]
        assert found.tolist() == expected


def test_what_a_file_has_besides_its_pixels_is_noted(coffee: Image.Image, tmp_path: Path) -> None:
    coffee.save(tmp_path / "moving.gif", save_all=True, append_images=[ImageOps.mirror(coffee)])
    clear = coffee.convert("RGBA")
    clear.putalpha(90)
    clear.save(tmp_path / "clear.png")
    Image.fromarray(np.arange(60000, dtype=np.uint16).reshape(200, 300)).save(tmp_path / "deep.png")
    coffee.save(tmp_path / "plain.jpg")
    facts = {}
    for path in tmp_path.iterdir():
        signature = signature_of(path.read_bytes())
        facts[path.stem] = (signature.alpha, signature.deep, signature.animated)
    assert facts == {
        "moving": (False, False, True),
        "clear": (True, False, False),
        "deep": (False, True, False),
        "plain": (False, False, False),
    }
