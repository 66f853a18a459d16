"""A picture of an answer: the query and its hits in a grid, with ranks, scores and captions. Pillow only."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from semblant_search.collection import picture_place
from semblant_search.errors import ImageError, InvalidInput
from semblant_search.images import open_image, picture_source, scaled_size
from semblant_search.results import FeatureHit

from .typography import Typography

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from semblant_search.duplicates import DuplicateGroup
    from semblant_search.images import ImageSource
    from semblant_search.results import Hit

__all__ = [
    "caption_of",
    "check_drawing",
    "draw_gallery",
    "draw_groups",
    "fitted",
    "name_of",
    "percent",
    "save_picture",
    "thumbnail",
]

BOX = 208
"""Side of the square that a picture is fitted into, in pixels: 7 × 28 fit, with a margin."""

INK, MUTED, LINE, PANEL, ACCENT, WARN = "#111827", "#6b7280", "#e5e7eb", "#f3f4f6", "#2563eb", "#b45309"
_CHECKER = (255, 255, 255), (233, 235, 239)
_GAP, _MARGIN, _TEXT_HEIGHT = 20, 28, 58
_WIDEST = 1200
"""How far titles may widen a drawing of few hits, in pixels, before they are elided."""


@dataclass(frozen=True)
class _Tile:
    """One picture with the two lines below it."""

    picture: Image.Image | str
    """The picture, or why there is none."""
    head: str
    note: str
    caption: str
    colour: str = INK


def draw_gallery(
    hits: Sequence[Hit],
    *,
    query: ImageSource | None = None,
    title: str = "",
    subtitle: str = "",
    caption: Callable[[Hit], str] | None = None,
    columns: int = 5,
) -> Image.Image:
    """The query at the left, its hits to the right in rows of `columns`, best first: an RGB picture.

    Args:
        hits: what a search returned; a picture that cannot be read becomes a placeholder that says why.
        query: the picture that was asked with, or its URI; None draws the hits alone.
        title, subtitle: lines above, elided where too long.
        caption: the text below a hit; None shows its label, or else its file name.
        columns: hits in a row, 1 to 20.

    Raises:
        InvalidInput: columns out of range.
    """
    if not 1 <= columns <= 20:
        raise InvalidInput(f"columns {columns}: expected 1 to 20")
    caption = caption or caption_of
    places = 3 if all(abs(hit.score) < 1.01 for hit in hits) else 1
    tiles = [_Tile(_load(hit.uri), _head(hit, places), f"{rank}", caption(hit)) for rank, hit in enumerate(hits, start=1)]
    asked = None if query is None else _Tile(_load(query), "Query", "", name_of(query), ACCENT)
    texts = [title, subtitle, *(tile.caption for tile in tiles), asked.caption if asked else ""]
    return _compose(tiles, asked, (title, subtitle), min(columns, max(1, len(tiles))), Typography.covering("".join(texts)))


def draw_groups(groups: Sequence[DuplicateGroup], *, title: str = "", columns: int = 6) -> Image.Image:
    """Duplicates, group by group in rows of `columns` pictures, each group's representative outlined: an RGB picture.

    A group that is larger than a row shows how many pictures are left out.
    """
    texts = [title, *(name_of(picture.uri) for group in groups for picture in (group.representative, *group.others))]
    fonts = Typography.covering("".join(texts))
    top, step = _MARGIN + 40 * bool(title), BOX + _TEXT_HEIGHT
    places: list[tuple[int, int]] = []  # column and row of each group's first picture
    column = row = 0
    for group in groups:
        size = min(columns, 1 + len(group.others))
        if column + size > columns:
            column, row = 0, row + 1
        places.append((column, row))
        column += size
    width = 2 * _MARGIN + columns * (BOX + _GAP) - _GAP
    canvas = Image.new("RGB", (width, top + (row + 1) * step + _MARGIN - 8), "white")
    draw = ImageDraw.Draw(canvas)
    if title:
        draw.text((_MARGIN, _MARGIN - 6), fonts.elide(title, 24, width - 2 * _MARGIN), fill=INK, font=fonts.font(24))
    if not groups:
        draw.text((_MARGIN, top), "No duplicates", fill=MUTED, font=fonts.font(20))
    for group, (column, row) in zip(groups, places, strict=True):
        x, y = _MARGIN + column * (BOX + _GAP), top + row * step
        for number, tile in enumerate(_group_tiles(group, columns)):
            _draw_tile(canvas, tile, (x + number * (BOX + _GAP), y), fonts)
        draw.rectangle((x - 3, y - 3, x + BOX + 2, y + BOX + 2), outline=ACCENT, width=3)
    return canvas


def _group_tiles(group: DuplicateGroup, columns: int) -> list[_Tile]:
    first, hidden = group.representative, len(group.others) + 1 - columns
    tiles = [_Tile(_load(first.uri), "Keep", f"+{hidden} more" if hidden > 0 else "", name_of(first.uri), ACCENT)]
    for other in group.others[: columns - 1]:
        head = "same bytes" if other.exact else "copy" if other.tier == "copy" else "changed"
        note = "" if other.exact else ", ".join(other.why)
        if other.tier == "copy" and not other.removable:
            note = "not to be removed"
        tiles.append(_Tile(_load(other.uri), head, note, name_of(other.uri), WARN if other.tier == "changed" else INK))
    return tiles


def caption_of(hit: Hit) -> str:
    """A hit's label where it has one, else the name of its file."""
    label = hit.metadata.get("label")
    return str(label) if label not in (None, "") else name_of(hit.uri)


def check_drawing(path: str | os.PathLike[str]) -> None:
    """Raise what `save_picture` would, before what is drawn has taken minutes; leaves no file that was not there."""
    place = Path(path)
    if place.suffix.lower() not in Image.registered_extensions():
        raise InvalidInput(f"{os.fspath(path)!r}: the drawing cannot be written: expected a name that ends with .png or .jpg")
    there = place.exists()
    try:
        with place.open("ab"):
            pass
        if not there:
            place.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidInput(f"{os.fspath(path)!r}: the drawing cannot be written: {error.strerror or error}") from error


def save_picture(picture: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a drawing; the name's suffix chooses the format. Raises `InvalidInput` where that cannot be."""
    try:
        picture.save(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"{os.fspath(path)!r}: the drawing cannot be written: {reason}") from error


def thumbnail(picture: Image.Image, box: int = BOX) -> Image.Image:
    """A picture from `open_image` fitted into a square: RGB `box` × `box`, its aspect ratio kept, as `fitted` does."""
    small = fitted(picture, box)
    tile = Image.new("RGB", (box, box), PANEL)
    tile.paste(small, ((box - small.width) // 2, (box - small.height) // 2))
    return tile


def fitted(picture: Image.Image, box: int = BOX) -> Image.Image:
    """A picture from `open_image` whose longer side is `box` pixels, or somewhat less: RGB.

    Large pictures are shrunk with averaging. Small ones are enlarged by a whole number without smoothing, so that the pixels
    that an encoder sees stay visible. Transparency shows a light checker.
    """
    scale = min(box / picture.width, box / picture.height)
    if scale >= 2:
        size = (picture.width * int(scale), picture.height * int(scale))
        method = Image.Resampling.NEAREST
    else:
        size = scaled_size(picture.size, scale)
        method = Image.Resampling.LANCZOS
    clear = picture.mode in ("LA", "RGBA")
    small = picture.convert("RGBA" if clear else "RGB").resize(size, method, reducing_gap=3.0 if scale < 1 else None)
    if not clear:
        return small
    tile = _checker(size)
    tile.paste(small, (0, 0), small)
    return tile


def _compose(tiles: list[_Tile], asked: _Tile | None, titles: tuple[str, str], columns: int, fonts: Typography) -> Image.Image:
    rows = max(1, -(-len(tiles) // columns))
    step = BOX + _GAP
    left = _MARGIN + (step + 2 * _GAP if asked else 0)
    lines = max(fonts.length(text, size) for text, size in zip(titles, (24, 16), strict=True))
    width = max(left + columns * step - _GAP, min(_MARGIN + math.ceil(lines), _WIDEST)) + _MARGIN
    top = _MARGIN + 34 * bool(titles[0]) + 24 * bool(titles[1]) + 10 * any(titles)
    height = top + rows * (BOX + _TEXT_HEIGHT) + _MARGIN - 8
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    y = _MARGIN - 6
    for text, size, colour, advance in ((titles[0], 24, INK, 34), (titles[1], 16, MUTED, 24)):
        if text:
            draw.text((_MARGIN, y), fonts.elide(text, size, width - 2 * _MARGIN), fill=colour, font=fonts.font(size))
            y += advance
    if asked:
        _draw_tile(canvas, asked, (_MARGIN, top), fonts)
        draw.rectangle((_MARGIN - 3, top - 3, _MARGIN + BOX + 2, top + BOX + 2), outline=ACCENT, width=3)
        rule = left - 1.5 * _GAP
        draw.line((rule, top, rule, height - _MARGIN), fill=LINE, width=2)
    if not tiles:
        draw.text((left, top + BOX // 2 - 10), "No hits", fill=MUTED, font=fonts.font(20))
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        _draw_tile(canvas, tile, (left + column * step, top + row * (BOX + _TEXT_HEIGHT)), fonts)
    return canvas


def _draw_tile(canvas: Image.Image, tile: _Tile, at: tuple[int, int], fonts: Typography) -> None:
    draw = ImageDraw.Draw(canvas)
    x, y = at
    if isinstance(tile.picture, str):
        draw.rectangle((x, y, x + BOX - 1, y + BOX - 1), fill=PANEL)
        draw.line((x + 84, y + 68, x + 124, y + 108), fill="#c4c8cf", width=4)
        draw.line((x + 124, y + 68, x + 84, y + 108), fill="#c4c8cf", width=4)
        text = fonts.elide(tile.picture, 15, BOX - 16)
        draw.text((x + BOX / 2, y + 126), text, fill=WARN, font=fonts.font(15), anchor="ma")
    else:
        canvas.paste(tile.picture, at)
    draw.rectangle((x, y, x + BOX - 1, y + BOX - 1), outline=LINE)
    draw.text((x, y + BOX + 7), tile.head, fill=tile.colour, font=fonts.font(17))
    if tile.note:
        note = fonts.elide(tile.note, 15, BOX - math.ceil(fonts.length(tile.head, 17)) - 10)
        draw.text((x + BOX, y + BOX + 8), note, fill=MUTED, font=fonts.font(15), anchor="ra")
    draw.text((x, y + BOX + 28), fonts.elide(tile.caption, 15, BOX), fill=MUTED, font=fonts.font(15))


def _head(hit: Hit, places: int) -> str:
    """The score, or for a hit with a verdict that and how sure it is."""
    if isinstance(hit, FeatureHit) and hit.verdict != "none":
        return f"{hit.verdict} {percent(hit.probability)}"
    return f"{hit.score:.{places}f}"


def _load(source: ImageSource) -> Image.Image | str:
    """A thumbnail, or why there is none."""
    try:
        if isinstance(source, str) and "://" in source:
            place = picture_place(source)
            if place is None:
                return "not a local file"
            source = picture_source(place)
        return thumbnail(open_image(source, at_least=(BOX, BOX)))
    except ImageError as error:
        return {"missing": "file is missing", "too-large": "too large to draw"}.get(error.reason, "cannot be read")


def percent(probability: float) -> str:
    """A probability for people; one that is all but certain is not called certain."""
    return ">99.9 %" if probability > 0.999 else f"{100 * probability:.1f} %"


def name_of(source: ImageSource) -> str:
    """The file name of a picture given by path or URI; empty for pixels."""
    if isinstance(source, str) and "://" in source:
        place = picture_place(source)
        return Path(source).name if place is None else "#".join(filter(None, (place[0].name, place[1])))
    return Path(source).name if isinstance(source, (str, os.PathLike)) else ""


def _checker(size: tuple[int, int], cell: int = 8) -> Image.Image:
    cells = Image.new("RGB", (2, 2), _CHECKER[0])
    cells.putpixel((0, 1), _CHECKER[1])
    cells.putpixel((1, 0), _CHECKER[1])
    pattern = cells.resize((2 * cell, 2 * cell), Image.Resampling.NEAREST)
    out = Image.new("RGB", size)
    for x in range(0, size[0], 2 * cell):
        for y in range(0, size[1], 2 * cell):
            out.paste(pattern, (x, y))
    return out
