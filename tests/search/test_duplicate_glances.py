"""The first glance at two pictures: it leaves out pages of one template, and nothing that may be a copy or a change."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw, ImageEnhance, ImageOps
from semblant_search import SearchClient
from semblant_search.duplicates import copies, keeping
from semblant_search.duplicates.decoding import decode
from semblant_search.duplicates.glances import Glance, differ, glance_at
from semblant_search.duplicates.signatures import WHOLE, content_box

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def invoice(number: str, date: str) -> Image.Image:
    page = Image.new("RGB", (620, 877), "white")
    draw = ImageDraw.Draw(page)
    draw.text((50, 40), "INVOICE", fill="black", font_size=30)
    draw.text((50, 100), f"Number: {number}", fill="black", font_size=18)
    draw.text((50, 126), f"Date: {date}", fill="black", font_size=18)
    for row in range(32):
        draw.text(
            (50, 190 + 20 * row), f"{row} pieces of what was ordered in the year before, as agreed", fill="black", font_size=14
        )
    return page


PAGES = [invoice("471182", "03.11.2024"), invoice("908655", "27.08.2021")]


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    with Image.open(photos / "coffee.png") as picture:
        return picture.convert("RGB")


def glance(picture: Image.Image, kind: str = "PNG", **options: Any) -> Glance:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    found = glance_at(decode(buffer.getvalue()))
    assert found is not None
    return found


@pytest.mark.parametrize("turn", range(8))
def test_two_pages_of_one_template_differ_however_they_lie(turn: int) -> None:
    laid = ImageOps.mirror(PAGES[0]) if turn >= 4 else PAGES[0]
    back = turn if turn >= 4 else -turn % 4  # mirroring undoes itself, whatever it is turned by
    laid = laid.rotate(90 * (turn % 4), expand=True)
    for options in ({"kind": "PNG"}, {"kind": "JPEG", "quality": 40}):
        assert differ(glance(laid, **options), glance(PAGES[1]), back, WHOLE, WHOLE)
        assert not differ(glance(laid, **options), glance(PAGES[0]), back, WHOLE, WHOLE)


@pytest.mark.parametrize("quality", [95, 60, 30, 10])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_compression_is_no_difference(coffee: Image.Image, kind: str, quality: int) -> None:
    for picture in (coffee, PAGES[0]):
        assert not differ(glance(picture), glance(picture, kind, quality=quality), 0, WHOLE, WHOLE)
        assert not differ(glance(picture, kind, quality=quality), glance(picture), 0, WHOLE, WHOLE)


def test_changed_pictures_are_left_to_the_closer_look(coffee: Image.Image) -> None:
    for picture, ink in ((coffee, "white"), (PAGES[0], "black")):
        layer = Image.new("RGBA", picture.size)
        ImageDraw.Draw(layer).text((80, 150), "© PREVIEW", fill=(*ImageColor.getrgb(ink)[:3], 110), font_size=70)
        marked = Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")
        painted = picture.copy()
        ImageDraw.Draw(painted).rectangle((0, 0, picture.width - 1, picture.height - 1), outline="blue", width=14)
        inside = content_box(np.asarray(painted))
        for changed in (marked, ImageEnhance.Brightness(picture).enhance(0.7), picture.convert("L"), picture.quantize(8)):
            assert not differ(glance(picture), glance(changed), 0, WHOLE, WHOLE)
            assert not differ(glance(changed), glance(picture), 0, WHOLE, WHOLE)
        assert not differ(glance(picture), glance(painted), 0, WHOLE, inside)
        assert not differ(glance(painted), glance(picture), 0, inside, WHOLE)


def test_sizes_profiles_and_palettes_are_left_to_the_closer_look() -> None:
    one, other = PAGES
    assert not differ(glance(one), glance(other.resize((1240, 1754))), 0, WHOLE, WHOLE)
    assert not differ(glance(one), glance(other.quantize(16)), 0, WHOLE, WHOLE)
    assert not differ(glance(one), replace(glance(other), profile=b"of wider colours"), 0, WHOLE, WHOLE)
    small = io.BytesIO()
    one.resize((310, 438)).save(small, "PNG")
    assert glance_at(decode(small.getvalue())) is None


def test_a_folder_of_invoices_is_gone_through_without_comparing_any_at_full_size(
    index: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        invoice(f"{718_245 * (number + 2) % 999_983}", f"{7 * number + 1:02}.0{9 - number}.20{11 * number + 10}").save(
            tmp_path / f"{number}.png"
        )
    PAGES[0].save(tmp_path / "page.png")
    PAGES[0].save(tmp_path / "page.jpg", quality=80)
    index(tmp_path / "db", sorted(tmp_path.glob("*.*g")))
    compared = []

    def counted(larger: Any, smaller: Any) -> Any:
        compared.append(larger)
        return closely(larger, smaller)

    closely = copies.copy_proof
    monkeypatch.setattr(keeping, "copy_proof", counted)
    with SearchClient(tmp_path / "db") as client:
        (group,) = client.duplicates()
    assert group.representative.path == tmp_path / "page.png"
    assert [other.path for other in group.others] == [tmp_path / "page.jpg"]
    assert len(compared) == 1, "the page and its JPEG file alone"
