"""Pictures that seem to be copies and are not, or of which something would be lost: nothing wrong may ever be removable."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageOps
from PIL.PngImagePlugin import PngInfo
from semblant_search import DuplicateGroup, SearchClient
from support.golden import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Grouped = Callable[[], dict[str, dict[str, tuple[str, tuple[str, ...], bool]]]]

LANCZOS = Image.Resampling.LANCZOS


@pytest.fixture(scope="module")
def coffee(photos: Path) -> Image.Image:
    with Image.open(photos / "coffee.png") as picture:
        return picture.convert("RGB").resize((300, 200), LANCZOS)


@pytest.fixture
def grouped(index: Callable[..., None], tmp_path: Path) -> Grouped:
    """Indexes the pictures in `tmp_path`: the name of each group's first, then tier, words and removability of the others."""

    def name(uri: str) -> str:
        return uri.rsplit("/", 1)[-1]

    def go() -> dict[str, dict[str, tuple[str, tuple[str, ...], bool]]]:
        index(tmp_path / "db", sorted(path for path in tmp_path.iterdir() if path.is_file()))
        with SearchClient(tmp_path / "db") as client:
            groups: list[DuplicateGroup] = client.duplicates()
        return {
            name(group.representative.uri): {
                name(other.uri): (other.tier, other.why, other.removable) for other in group.others
            }
            for group in groups
        }

    return go


def wide_gamut() -> bytes:
    """sRGB's profile with the primaries of Display P3."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.51512, 0.24120, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.15710, 0.06657, 0.78407),
    }
    for number in range(struct.unpack(">I", profile[128:132])[0]):
        tag, offset, _ = struct.unpack(">4sII", profile[132 + 12 * number : 144 + 12 * number])
        if tag in primaries:
            fixed = [round(value * 65536) for value in primaries[tag]]
            profile[offset + 8 : offset + 20] = struct.pack(">3i", *fixed)
    return bytes(profile)


def test_colours_count_as_they_are_shown(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    """The same picture in another profile has other numbers, and the same numbers in another profile are another picture."""
    srgb, wide = ImageCms.createProfile("sRGB"), wide_gamut()
    shown = ImageCms.profileToProfile(coffee, srgb, ImageCms.ImageCmsProfile(io.BytesIO(wide)))
    assert shown is not None
    coffee.save(tmp_path / "a.bmp")
    coffee.save(tmp_path / "tagged.png", icc_profile=ImageCms.ImageCmsProfile(srgb).tobytes())
    shown.save(tmp_path / "wide.png", icc_profile=wide)
    coffee.save(tmp_path / "numbers.png", icc_profile=wide)
    assert grouped() == {
        "a.bmp": {
            "numbers.png": ("changed", ("recoloured",), False),
            "tagged.png": ("copy", ("another format",), True),
            "wide.png": ("copy", ("another format", "another colour profile"), False),  # rounded, not exact
        }
    }


def test_one_picture_in_three_colour_spaces_is_one_group(grouped: Grouped, tmp_path: Path) -> None:
    for name in ("srgb.png", "adobe.png", "p3.png"):
        (tmp_path / name).write_bytes((GOLDEN / "shown" / name).read_bytes())
    (others,) = grouped().values()
    assert len(others) == 2
    assert {(tier, removable) for tier, _, removable in others.values()} == {("copy", False)}


def test_white_letters_on_nothing_are_told_apart(grouped: Grouped, tmp_path: Path) -> None:
    for word in ("ONE", "TWO"):
        logo = Image.new("RGBA", (300, 120), (255, 255, 255, 0))
        ImageDraw.Draw(logo).text((20, 20), word, fill="white", font_size=70)
        ImageDraw.Draw(logo).ellipse((230, 40, 280, 90), fill="red")
        logo.save(tmp_path / f"{word}.png")
        logo.crop((0, 0, 220, 120)).save(tmp_path / f"{word}-letters.png")
    Image.new("RGB", (220, 120), "white").save(tmp_path / "blank.png")
    assert grouped() == {}


def test_transparency_is_not_given_up_for_a_larger_picture_without(grouped: Grouped, tmp_path: Path) -> None:
    logo = Image.new("RGBA", (400, 300))
    draw = ImageDraw.Draw(logo)
    draw.ellipse((40, 40, 300, 250), fill=(200, 40, 40))
    draw.text((90, 120), "Logo", fill=(20, 20, 90), font_size=60)
    logo.save(tmp_path / "logo.png")
    flat = Image.new("RGB", logo.size, "white")
    flat.paste(logo, mask=logo.getchannel("A"))
    flat.save(tmp_path / "flat.jpg", quality=85)
    flat.resize((800, 600), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    (others,) = grouped().values()
    assert others == {
        "flat.jpg": ("copy", ("resized", "another format"), True),
        "logo.png": ("copy", ("resized",), False),
    }


def test_what_transparency_hides_is_not_lost(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    """Masked with a brush, the picture below is still in the file."""
    masked = np.array(coffee.convert("RGBA"))
    masked[:100, :, 3] = 0
    emptied = masked.copy()
    emptied[:100, :, :3] = 7
    Image.fromarray(emptied).save(tmp_path / "emptied.png", compress_level=0)
    Image.fromarray(masked).save(tmp_path / "masked.png")
    assert grouped() == {"emptied.png": {"masked.png": ("copy", ("recompressed",), False)}}


def test_more_than_8_bits_are_compared(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    """12 bits of a scanner in a file of 16: as 8 bits, all is nearly black."""
    deep = np.asarray(coffee.convert("L")).astype(np.uint16) * 8
    other = deep.copy()
    other[80:110, 120:160] += 150
    for name, values in (("one", deep), ("two", other)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    Image.fromarray(deep).save(tmp_path / "again.tif")
    groups = grouped()
    assert [sorted([first, *others]) for first, others in groups.items()] == [["again.tif", "one.png"]]


def test_frames_and_pages_behind_the_first_count(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    first, mirror, upside = (picture.quantize(64) for picture in (coffee, ImageOps.mirror(coffee), ImageOps.flip(coffee)))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[mirror])
    first.save(tmp_path / "b.gif", save_all=True, append_images=[upside])
    coffee.save(tmp_path / "a.tif", save_all=True, append_images=[ImageOps.mirror(coffee)])
    coffee.save(tmp_path / "b.tif", save_all=True, append_images=[ImageOps.flip(coffee)])
    coffee.save(tmp_path / "stereo.jpg", "MPO", save_all=True, append_images=[ImageOps.mirror(coffee)])
    coffee.save(tmp_path / "one.png")
    assert all(tier == "changed" and not goes for others in grouped().values() for tier, _, goes in others.values())


def test_a_camera_s_preview_behind_the_picture_is_no_second_page(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    coffee.save(tmp_path / "camera.jpg", "MPO", save_all=True, append_images=[coffee.resize((60, 40))])
    coffee.resize((150, 100), LANCZOS).save(tmp_path / "half.png")
    assert grouped() == {"camera.jpg": {"half.png": ("copy", ("resized", "another format"), True)}}


@pytest.mark.parametrize("size", [90, 12])
def test_a_clock_in_which_one_digit_differs(coffee: Image.Image, grouped: Grouped, tmp_path: Path, size: int) -> None:
    for minute, quality in enumerate((95, 60, 30, 80, 40, 20)):
        screen = coffee.copy()
        ImageDraw.Draw(screen).text((12, 60), f"12:4{minute}", fill="white", font_size=size)
        screen.save(tmp_path / f"{minute}.jpg", quality=quality)
    assert grouped() == {}


def page(word: str) -> Image.Image:
    sheet = Image.new("RGB", (620, 800), "white")
    draw = ImageDraw.Draw(sheet)
    for row in range(28):
        line = f"line {row} of a letter that {word if row == 13 else 'many'} people got from us in the year"
        draw.text((60, 60 + 24 * row), line, fill="black", font_size=15)
    return sheet


def test_a_small_page_is_a_copy_of_the_right_one_or_of_none(grouped: Grouped, tmp_path: Path) -> None:
    for name, word in (("right", "many"), ("wrong", "seven")):
        page(word).save(tmp_path / f"{name}.png")
        for by in (6, 8, 10):
            small = page(word).resize((620 // by, 800 // by), LANCZOS)
            small.save(tmp_path / f"{name}-{by}.png")
            small.save(tmp_path / f"{name}-{by}.jpg", quality=75)
    for first, others in grouped().items():
        for other, (tier, _, goes) in others.items():
            assert tier == "changed" or other.startswith(first.removesuffix(".png"))
            assert not goes or tier == "copy"


@pytest.mark.parametrize("kind", [Image.Resampling.LANCZOS, Image.Resampling.BOX, Image.Resampling.BILINEAR])
def test_a_small_page_with_another_word_is_no_copy_of_the_only_one(
    grouped: Grouped, tmp_path: Path, kind: Image.Resampling
) -> None:
    page("many").save(tmp_path / "page.png")
    for by in (2, 4, 6, 8, 10):
        small = page("seven").resize((620 // by, 800 // by), kind)
        small.save(tmp_path / f"{by}.png")
        small.save(tmp_path / f"{by}.jpg", quality=75)
        small.save(tmp_path / f"{by}.webp", quality=75)
    assert all(tier == "changed" for tier, _, _ in grouped().get("page.png", {}).values())


def test_faint_lines_are_seen_where_the_rest_is_the_same(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    coffee.save(tmp_path / "a.png")
    for number, colour in enumerate(((20, 20, 20), (120, 90, 60), (230, 30, 30))):
        lined = coffee.copy()
        ImageDraw.Draw(lined).line((40, 50 + 40 * number, 140, 50 + 40 * number), fill=colour)
        lined.save(tmp_path / f"{number}.jpg", quality=90)
        lined.resize((150, 100), LANCZOS).save(tmp_path / f"{number}-half.png")
    assert not any(tier == "copy" for tier, _, _ in grouped().get("a.png", {}).values())


def test_a_little_brighter_is_another_colour(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    coffee.save(tmp_path / "a.png")
    coffee.point(lambda level: min(255, round(1.02 * level))).save(tmp_path / "b.png")
    coffee.point(lambda level: min(255, round(1.04 * level))).save(tmp_path / "c.jpg", quality=92)
    assert not any(goes for others in grouped().values() for _, _, goes in others.values())


def test_a_picture_with_3_percent_more_light_is_the_same_one_recoloured(
    coffee: Image.Image, grouped: Grouped, tmp_path: Path
) -> None:
    """Beside copies that have the same light: no copy, and in no group of its own."""
    coffee.save(tmp_path / "a.png")
    coffee.save(tmp_path / "a.jpg", quality=75)
    coffee.resize((150, 100), LANCZOS).save(tmp_path / "half.jpg", quality=80)
    lit = coffee.point(lambda level: min(255, round(1.03 * level)))
    lit.save(tmp_path / "lit.png")
    (others,) = grouped().values()
    assert {name: (tier, goes) for name, (tier, _, goes) in others.items()} == {
        "a.jpg": ("copy", True),
        "half.jpg": ("copy", True),
        "lit.png": ("changed", False),
    }
    assert others["lit.png"][1] == ("recoloured",)


@pytest.mark.parametrize("quality", [90, 60])
def test_compressed_after_it_was_lit_a_picture_is_recoloured_too(
    coffee: Image.Image, grouped: Grouped, tmp_path: Path, quality: int
) -> None:
    coffee.save(tmp_path / "a.png")
    coffee.point(lambda level: min(255, round(1.03 * level))).save(tmp_path / "lit.jpg", quality=quality)
    assert grouped() == {"a.png": {"lit.jpg": ("changed", ("recoloured",), False)}}


def test_at_night_little_may_differ(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    for number, x in enumerate((40, 180)):
        night = np.asarray(coffee) * 0.05 + 4
        night[100:130, x : x + 30] += 4
        frame = Image.fromarray(night.clip(0, 255).astype(np.uint8))
        frame.save(tmp_path / f"{number}.png")
        frame.save(tmp_path / f"{number}.jpg", quality=92)
    groups = {first: sorted(others) for first, others in grouped().items()}
    assert groups in ({}, {"0.png": ["0.jpg"], "1.png": ["1.jpg"]})


def test_gradients_and_pictures_of_one_colour(grouped: Grouped, tmp_path: Path) -> None:
    for low, high in ((0, 255), (0, 250), (3, 255), (100, 110), (100, 112)):
        ramp = np.repeat(np.rint(np.linspace(low, high, 300))[None, :, None], 200, axis=0)
        Image.fromarray(np.repeat(ramp, 3, axis=2).astype(np.uint8)).save(tmp_path / f"{low}-{high}.png")
    for colour in ("white", "black"):
        Image.new("RGB", (300, 200), colour).save(tmp_path / f"{colour}.png")
        Image.new("RGB", (150, 100), colour).save(tmp_path / f"{colour}-half.png")
    assert not any(goes for others in grouped().values() for _, _, goes in others.values())


def test_tiny_pictures_are_copies_where_every_pixel_is_equal(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for side in range(1, 9):
        for number in range(6):
            pixels = rng.integers(100, 140, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{side}-{number}.png")
        for number in range(4):
            part = coffee.crop((40 * number, 20 * number, 40 * number + 120, 20 * number + 120))
            part.resize((side, side), Image.Resampling.BOX).save(tmp_path / f"part-{side}-{number}.png")
    coffee.crop((0, 0, 120, 120)).save(tmp_path / "whole.png")
    assert grouped() == {}


def test_a_picture_of_10000_by_10(grouped: Grouped, tmp_path: Path) -> None:
    strip = np.random.default_rng(5).integers(0, 255, (10, 10_000, 3), dtype=np.uint8)
    Image.fromarray(strip).save(tmp_path / "a.bmp")
    Image.fromarray(strip).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png")
    strip[3:9, 4000:4020] = 0
    Image.fromarray(strip).save(tmp_path / "other.png")
    groups = grouped()
    assert [sorted([first, *others]) for first, others in groups.items()] == [["a.bmp", "turned.png"]]


def test_one_level_of_one_pixel_is_nothing_and_twelve_are_something(
    coffee: Image.Image, grouped: Grouped, tmp_path: Path
) -> None:
    coffee.save(tmp_path / "a.bmp")
    for more in (1, 12):
        dotted = coffee.copy()
        dotted.putpixel((150, 100), tuple(level - more for level in coffee.getpixel((150, 100))))  # type: ignore[union-attr]
        dotted.save(tmp_path / f"{more}.png")
    assert grouped()["a.bmp"] == {"1.png": ("copy", ("another format",), True)}


def test_hundreds_of_files_of_one_picture_are_one_group_beside_another(
    coffee: Image.Image, grouped: Grouped, tmp_path: Path
) -> None:
    """More than any number of neighbours: a form of two people, one of which was saved again and again."""
    small = coffee.resize((90, 60), LANCZOS)
    other = small.copy()
    ImageDraw.Draw(other).text((10, 20), "B", fill="white", font_size=14)
    for number in range(150):
        text = PngInfo()
        text.add_text("number", str(number))
        small.save(tmp_path / f"a{number:03}.png", pnginfo=text)
    other.save(tmp_path / "b.bmp")
    other.save(tmp_path / "b.png")
    groups = grouped()
    assert {first[0]: len(others) for first, others in groups.items()} == {"a": 149, "b": 1}
    assert all(tier == "copy" and goes for others in groups.values() for tier, _, goes in others.values())


def test_without_its_colours_a_picture_is_no_copy(coffee: Image.Image, grouped: Grouped, tmp_path: Path) -> None:
    """A grey JPEG keeps nothing of the colours, so written again like it, any picture would be the same."""
    pale = Image.blend(coffee, coffee.convert("L").convert("RGB"), 0.6)
    pale.save(tmp_path / "pale.png")
    coffee.convert("L").save(tmp_path / "grey.jpg", quality=88)
    assert grouped() == {"pale.png": {"grey.jpg": ("changed", ("recoloured",), False)}}
