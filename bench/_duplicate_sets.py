"""The pictures of duplicates.py: copies and changed pictures as people and programs make them, and lookalikes that are neither.

Everything is drawn from a seed that depends on nothing but names, so that each run makes the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from _transforms import flat, seed_of
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["CHANGES", "COPIES", "LOOKALIKES", "Made", "document", "save"]

Size = tuple[int, int]
WORDS = [
    "account",
    "address",
    "agreed",
    "amount",
    "annual",
    "answer",
    "before",
    "branch",
    "called",
    "centre",
    "change",
    "client",
    "closed",
    "county",
    "credit",
    "delays",
    "detail",
    "double",
    "eleven",
    "family",
    "figure",
    "follow",
    "friday",
    "future",
    "garden",
    "ground",
    "health",
    "income",
    "joined",
    "kindly",
    "launch",
    "letter",
    "little",
    "london",
    "market",
    "matter",
    "member",
    "middle",
    "minute",
    "modern",
    "monday",
    "mother",
    "moving",
    "number",
    "office",
    "orders",
    "paying",
    "people",
    "permit",
    "person",
    "please",
    "policy",
    "postal",
    "public",
    "recent",
    "record",
    "regard",
    "result",
    "school",
    "season",
    "second",
    "signed",
    "single",
    "spring",
    "street",
    "summer",
    "supply",
    "system",
    "thirty",
    "travel",
    "twelve",
    "twenty",
    "valued",
    "volume",
    "wanted",
    "weekly",
    "winter",
    "worked",
    "yearly",
]


@dataclass(frozen=True)
class Made:
    """A file of the set.

    Attributes:
        path: where it was written.
        kind: what was done, or what it is.
        copies: pictures of the same name here are copies of each other.
        family: pictures of the same name here are copies, or one picture changed.
    """

    path: Path
    kind: str
    copies: str
    family: str


def save(picture: Image.Image, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def _scaled(picture: Image.Image, by: float, filter: Image.Resampling) -> Image.Image:
    return picture.resize((max(1, round(picture.width * by)), max(1, round(picture.height * by))), filter)


def _orientation(number: int) -> Callable[[Image.Image, Path], Path]:
    """The file as a camera writes it that was held so: the tag brings it upright again."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}

    def write(picture: Image.Image, path: Path) -> Path:
        exif = Image.Exif()
        exif[0x0112] = number
        lying = picture if number == 1 else picture.transpose(Image.Transpose(undo[number]))
        return save(lying, path.with_suffix(".jpg"), quality=92, exif=exif)

    return write


def _transparent(picture: Image.Image, path: Path) -> Path:
    """White made transparent, as a drawing program leaves it out."""
    rgba = np.array(picture.convert("RGBA"))
    rgba[(rgba[..., :3] == 255).all(axis=2)] = (0, 0, 0, 0)
    return save(Image.fromarray(rgba), path.with_suffix(".png"))


def _resized(by: float, filter: Image.Resampling, suffix: str, **options: Any) -> Callable[[Image.Image, Path], Path]:
    return lambda picture, path: save(_scaled(picture, by, filter), path.with_suffix(suffix), **options)


def _written(suffix: str, **options: Any) -> Callable[[Image.Image, Path], Path]:
    return lambda picture, path: save(picture, path.with_suffix(suffix), **options)


def _turned(turn: Image.Transpose, suffix: str, **options: Any) -> Callable[[Image.Image, Path], Path]:
    return lambda picture, path: save(picture.transpose(turn), path.with_suffix(suffix), **options)


def _sixteen(picture: Image.Image, path: Path) -> Path:
    """Grey of 16 bits; of a coloured picture, its 8 bits in another container."""
    grey = np.asarray(picture.convert("L"))
    if (np.asarray(picture) != grey[..., None]).any():
        return save(picture, path.with_suffix(".tif"), compression="tiff_lzw")
    return save(Image.fromarray(grey.astype(np.uint16) * 257), path.with_suffix(".png"))


_R, _T = Image.Resampling, Image.Transpose
COPIES: dict[str, Callable[[Image.Image, Path], Path]] = {
    "JPEG 90": _written(".jpg", quality=90),
    "JPEG 60": _written(".jpg", quality=60),
    "JPEG 30": _written(".jpg", quality=30),
    "JPEG 15": _written(".jpg", quality=15),
    "WebP 75": _written(".webp", quality=75),
    "WebP lossless": _written(".webp", lossless=True),
    "BMP": _written(".bmp"),
    "GIF": _written(".gif"),
    "TIFF or 16 bits": _sixteen,
    "transparent": _transparent,
    "3/4 bicubic": _resized(0.75, _R.BICUBIC, ".png"),
    "half, Lanczos": _resized(0.5, _R.LANCZOS, ".png"),
    "half, box, JPEG 80": _resized(0.5, _R.BOX, ".jpg", quality=80),
    "half, nearest": _resized(0.5, _R.NEAREST, ".png"),
    "1:3 bilinear, JPEG 70": _resized(1 / 3, _R.BILINEAR, ".jpg", quality=70),
    "1:5 Lanczos, WebP": _resized(0.2, _R.LANCZOS, ".webp", quality=80),
    "1:10 bicubic": _resized(0.1, _R.BICUBIC, ".png"),
    "1:10 bicubic, JPEG 85": _resized(0.1, _R.BICUBIC, ".jpg", quality=85),
    "twice bicubic": _resized(2, _R.BICUBIC, ".png"),
    "turned 90°": _turned(_T.ROTATE_90, ".png"),
    "turned 180°": _turned(_T.ROTATE_180, ".png"),
    "turned 270°, JPEG 85": _turned(_T.ROTATE_270, ".jpg", quality=85),
    "turned 90°, half": lambda picture, path: save(_scaled(picture, 0.5, _R.LANCZOS).transpose(_T.ROTATE_90), path),
    **{f"EXIF {number}": _orientation(number) for number in range(1, 9)},
}
"""What leaves a picture the same: each writes one, at a path whose suffix it may choose."""


def _bordered(colour: tuple[int, int, int]) -> Callable[[Image.Image, Path], Path]:
    def write(picture: Image.Image, path: Path) -> Path:
        return save(ImageOps.expand(picture, round(0.05 * min(picture.size)), colour), path.with_suffix(".jpg"), quality=88)

    return write


def _letterboxed(ratio: float) -> Callable[[Image.Image, Path], Path]:
    def write(picture: Image.Image, path: Path) -> Path:
        width, height = picture.size
        size = (round(height * ratio), height) if width < height * ratio else (width, round(width / ratio))
        canvas = Image.new("RGB", size, "black")
        canvas.paste(picture, ((size[0] - width) // 2, (size[1] - height) // 2))
        return save(canvas, path.with_suffix(".jpg"), quality=88)

    return write


def _watermarked(picture: Image.Image, path: Path) -> Path:
    """White letters of 45 % in the lower half."""
    layer = Image.new("RGBA", picture.size, (255, 255, 255, 0))
    side = max(10, picture.width // 8)
    place = (picture.width * 0.1, picture.height * 0.6)
    ImageDraw.Draw(layer).text(place, "© PREVIEW", fill=(255, 255, 255, 115), font_size=side)
    return save(flat(Image.alpha_composite(picture.convert("RGBA"), layer)), path.with_suffix(".jpg"), quality=88)


def _enhanced(kind: Any, by: float) -> Callable[[Image.Image, Path], Path]:
    return lambda picture, path: save(kind(picture).enhance(by), path.with_suffix(".jpg"), quality=88)


CHANGES: dict[str, Callable[[Image.Image, Path], Path]] = {
    "mirrored": lambda picture, path: save(ImageOps.mirror(picture), path.with_suffix(".png")),
    "mirrored, half, JPEG": lambda picture, path: save(
        _scaled(ImageOps.mirror(picture), 0.5, _R.LANCZOS), path.with_suffix(".jpg"), quality=80
    ),
    "black border": _bordered((0, 0, 0)),
    "red border": _bordered((170, 30, 40)),
    "letterbox 16:9": _letterboxed(16 / 9),
    "letterbox square": _letterboxed(1),
    "watermark": _watermarked,
    "brighter": _enhanced(ImageEnhance.Brightness, 1.25),
    "less contrast": _enhanced(ImageEnhance.Contrast, 0.7),
    "less colour": _enhanced(ImageEnhance.Color, 0.4),
    "grey": lambda picture, path: save(picture.convert("L"), path.with_suffix(".jpg"), quality=88),
}
"""What changes a picture all over, which still is the same one."""


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text(draw: ImageDraw.ImageDraw, at: tuple[float, float], words: str, size: int, fill: str = "black") -> None:
    draw.text(at, words, fill=fill, font=_font(size))


def document(
    rng: np.random.Generator, size: Size = (620, 800), letters: int = 15
) -> tuple[Image.Image, list[tuple[str, Size]]]:
    """A page of text, and where each of its words stands."""
    page, placed = Image.new("RGB", size, "white"), []
    draw = ImageDraw.Draw(page)
    _text(draw, (60, 40), " ".join(rng.choice(WORDS, 3)).title(), 26)
    y = 100
    while y < size[1] - 80:
        x = 60.0
        while x < size[0] - 140:
            word = str(rng.choice(WORDS))
            placed.append((word, (round(x), y)))
            _text(draw, (x, y), word, letters)
            x += draw.textlength(word + " ", font=_font(letters))
        y += round(letters * 1.5)
        y += 18 if rng.random() < 0.15 else 0
    return page, placed


def _another_word(rng: np.random.Generator, _: Image.Image) -> list[tuple[Image.Image, dict[str, Any]]]:
    """A page, and the same with one word changed, both also at half size and by JPEG."""
    page, placed = document(rng)
    word, at = placed[int(rng.integers(len(placed)))]
    other = page.copy()
    draw = ImageDraw.Draw(other)
    draw.rectangle((*at, at[0] + draw.textlength(word, font=_font(15)), at[1] + 19), fill="white")
    _text(draw, at, str(rng.choice([w for w in WORDS if w != word and len(w) == len(word)])), 15)
    if rng.random() < 0.5:
        other = _scaled(other, 0.5, _R.LANCZOS)
    return [(page, {}), (other, {"quality": int(rng.choice([95, 60, 30]))})]


def _form(rng: np.random.Generator, _: Image.Image) -> list[tuple[Image.Image, dict[str, Any]]]:
    """One form filled in by five people, scanned."""
    blank = Image.new("RGB", (640, 840), "white")
    draw = ImageDraw.Draw(blank)
    _text(draw, (60, 40), " ".join(rng.choice(WORDS, 3)).title(), 30)
    fields = []
    for row in range(int(rng.integers(6, 12))):
        y = 120 + 58 * row
        _text(draw, (60, y), str(rng.choice(WORDS)).title(), 16)
        draw.rectangle((220, y - 6, 580, y + 28), outline="black")
        fields.append((232, y))
    filled = []
    for _person in range(5):
        page = blank.copy()
        pen = ImageDraw.Draw(page)
        for at in fields:
            _text(pen, at, " ".join(rng.choice(WORDS, int(rng.integers(1, 4)))), 18, "#1c2a6b")
        filled.append((page, {"quality": int(rng.choice([92, 75, 40]))}))
    return filled


def _chat(rng: np.random.Generator, _: Image.Image) -> list[tuple[Image.Image, dict[str, Any]]]:
    """Four screens of one chat whose last message differs."""
    screen = Image.new("RGB", (360, 720), "#ece5dd")
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, 360, 56), fill="#075e54")
    _text(draw, (60, 18), " ".join(rng.choice(WORDS, 2)).title(), 18, "white")
    y = 80
    for number in range(8):
        left = 14 if number % 2 else 110
        draw.rounded_rectangle((left, y, left + 230, y + 50), 8, fill="white" if number % 2 else "#dcf8c6")
        _text(draw, (left + 12, y + 14), " ".join(rng.choice(WORDS, 3)), 15)
        y += 66
    screens = []
    for word in rng.choice(WORDS, 4, replace=False):
        one = screen.copy()
        pen = ImageDraw.Draw(one)
        pen.rounded_rectangle((14, y, 244, y + 50), 8, fill="white")
        _text(pen, (26, y + 14), " ".join([str(word), *rng.choice(WORDS, int(rng.integers(0, 3)))]), 15)
        screens.append((one, {"quality": 90} if rng.random() < 0.5 else {}))
    return screens


def _burst(rng: np.random.Generator, photo: Image.Image) -> list[tuple[Image.Image, dict[str, Any]]]:
    """Three photographs in which a small thing, a part of the photograph itself, is elsewhere."""
    side = int(rng.integers(max(8, photo.width // 25), max(10, photo.width // 12)))
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
    frames: list[tuple[Image.Image, dict[str, Any]]] = []
    thing = _part(rng, photo, side)
    for _ in range(3):
        while True:  # somewhere where it can be seen
            x, y = (int(rng.integers(0, length - side)) for length in photo.size)
            below = np.asarray(photo.crop((x, y, x + side, y + side)), np.float32)
            if np.abs(below - np.asarray(thing, np.float32)).mean() > 30:
                break
            thing = _part(rng, photo, side) if not frames else thing
        frame = photo.copy()
        frame.paste(thing, (x, y), mask)
        noise = rng.normal(0, 2, (frame.height, frame.width, 3))
        noisy = Image.fromarray(np.clip(np.asarray(frame) + noise, 0, 255).astype(np.uint8))
        frames.append((noisy, {"quality": 90}))
    return frames


def _part(rng: np.random.Generator, photo: Image.Image, side: int) -> Image.Image:
    x, y = (int(rng.integers(0, length - side)) for length in photo.size)
    return ImageEnhance.Brightness(photo.crop((x, y, x + side, y + side))).enhance(0.6)


def _line(rng: np.random.Generator, photo: Image.Image) -> list[tuple[Image.Image, dict[str, Any]]]:
    """A line of one pixel across a part of a picture."""
    other = photo.copy()
    y, x = int(rng.integers(10, photo.height - 10)), int(rng.integers(5, photo.width // 2))
    ImageDraw.Draw(other).line((x, y, x + photo.width // 3, y), fill=(230, 30, 30))
    return [(photo, {}), (other, {"quality": 90} if rng.random() < 0.5 else {})]


def _blank(rng: np.random.Generator, _: Image.Image) -> list[tuple[Image.Image, dict[str, Any]]]:
    """Scans of empty pages: nothing but paper and dust."""
    pages = []
    for _page in range(4):
        paper = 246 + rng.normal(0, 1.5, (400, 300, 1)) + rng.normal(0, 0.6, (400, 300, 3))
        for _dust in range(int(rng.integers(1, 6))):
            top, left = int(rng.integers(390)), int(rng.integers(290))
            paper[top : top + 2, left : left + 3] -= 60
        pages.append((Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8)), {"quality": 90}))
    return pages


def _dark(rng: np.random.Generator, photo: Image.Image) -> list[tuple[Image.Image, dict[str, Any]]]:
    """Photographs at night, hardly anything to be seen, of two halves of one scene."""
    width = photo.width // 2
    night = [photo.crop((left, 0, left + width, photo.height)) for left in (0, photo.width - width)]
    frames = []
    for half in night:
        dark = np.asarray(half) * 0.06 + 4 + rng.normal(0, 1.5, (half.height, half.width, 3))
        frames.append((Image.fromarray(np.clip(dark, 0, 255).astype(np.uint8)), {"quality": 90}))
    return frames


LOOKALIKES: dict[str, Callable[[np.random.Generator, Image.Image], list[tuple[Image.Image, dict[str, Any]]]]] = {
    "form": _form,
    "chat": _chat,
    "burst": _burst,
    "another word": _another_word,
    "line": _line,
    "blank": _blank,
    "dark": _dark,
}
"""Pictures that are nearly the same and are not, made with a photograph at hand; each with the options it is saved with."""


def written(picture: Image.Image, options: dict[str, Any], path: Path) -> Path:
    """JPEG where a quality is among the options, else PNG."""
    return save(picture, path.with_suffix(".jpg" if options else ".png"), **options)


def seeded(*names: str) -> np.random.Generator:
    return seed_of("duplicates", *names)
