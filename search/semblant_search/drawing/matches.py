"""A drawing of the proof: query and hit side by side, lines between the details that agree, the query's place. Pillow only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from semblant_search.collection import picture_place
from semblant_search.errors import ImageError
from semblant_search.images import open_image, picture_source, scaled_size

from .gallery import ACCENT, INK, LINE, MUTED, PANEL, name_of, percent
from .typography import Typography

if TYPE_CHECKING:
    from collections.abc import Sequence

    from semblant_search.images import ImageSource
    from semblant_search.results import FeatureHit

__all__ = ["draw_matches"]

_SIDE, _GAP, _MARGIN, _HEAD = 420, 36, 28, 64
_LINES = 60
"""Lines drawn at most, spread over all pairs; more hide what they join."""
_FINE = 3
"""Lines are drawn this many times larger and shrunk, which smooths them; Pillow draws hard edges."""
_COLOURS = ("#059669", "#2563eb", "#d97706", "#db2777", "#7c3aed", "#0891b2")
_OUTLINE = "#10b981"


_Point = tuple[float, float]


class _Place(NamedTuple):
    """Where a panel lies in the drawing, and its pixels for each pixel of its picture."""

    left: float
    top: float
    scale: float
    width: int
    height: int


def draw_matches(
    query: ImageSource,
    hits: Sequence[FeatureHit],
    *,
    region: tuple[float, ...] | None = None,
    rows: int = 3,
) -> Image.Image:
    """The query beside each of the first few proven hits: an RGB picture with one row for each.

    Args:
        query: the picture that was asked with.
        hits: what `search_features` returned; those without a transform are left out.
        region: the part that was asked for, `(x, y, width, height)`, outlined in the query.
        rows: hits drawn at most, at least 1.

    Raises:
        ImageError: the query cannot be decoded. A hit that cannot becomes an empty panel with its outline.
    """
    picture = open_image(query)  # whole: the details' places are in its own pixels
    left = _panel(picture)
    scale = left.width / picture.width
    shown = [hit for hit in hits if hit.transform is not None][:rows]
    fonts = Typography.covering("".join(name_of(hit.uri) for hit in shown))
    drawn = [_row(left, scale, hit, region, fonts) for hit in shown] or [_empty(left, fonts)]
    canvas = Image.new("RGB", (max(row.width for row in drawn), sum(row.height for row in drawn) + _MARGIN), "white")
    y = 0
    for row in drawn:
        canvas.paste(row, (0, y))
        y += row.height
    return canvas


def _row(left: Image.Image, scale: float, hit: FeatureHit, region: tuple[float, ...] | None, fonts: Typography) -> Image.Image:
    right, ratio = _hit_panel(hit)
    x_right = _MARGIN + _SIDE + _GAP
    canvas = Image.new("RGB", (x_right + _SIDE + _MARGIN, _MARGIN + _HEAD + max(left.height, right.height)), "white")
    draw = ImageDraw.Draw(canvas)
    words = f"{hit.verdict} · {percent(hit.probability)} sure · {hit.inliers} details agree{' · mirrored' * hit.mirrored}"
    draw.text((_MARGIN, _MARGIN), "Query", fill=ACCENT, font=fonts.font(17))
    draw.text((x_right, _MARGIN), fonts.elide(name_of(hit.uri), 17, _SIDE), fill=INK, font=fonts.font(17))
    draw.text((x_right, _MARGIN + 24), fonts.elide(words, 15, _SIDE), fill=MUTED, font=fonts.font(15))
    top = _MARGIN + _HEAD - 10
    for panel, x in ((left, _MARGIN), (right, x_right)):
        canvas.paste(panel, (x, top))
        draw.rectangle((x - 1, top - 1, x + panel.width, top + panel.height), outline=LINE)
    return _overlay(canvas, hit, region, _Place(_MARGIN, top, scale, *left.size), _Place(x_right, top, ratio, *right.size))


def _overlay(
    canvas: Image.Image,
    hit: FeatureHit,
    region: tuple[float, ...] | None,
    here: _Place,
    there: _Place,
) -> Image.Image:
    """Lines, dots and outlines, smoothed, over the two panels."""
    layer = Image.new("RGBA", (canvas.width * _FINE, canvas.height * _FINE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)

    def place(panel: _Place, x: float, y: float) -> _Point:
        return (panel[0] + x * panel[2]) * _FINE, (panel[1] + y * panel[2]) * _FINE

    pairs = sorted(hit.pairs, key=lambda pair: pair[1])
    step = max(1, -(-len(pairs) // _LINES))
    for index, (qx, qy, hx, hy) in enumerate(pairs[::step]):
        colour = _COLOURS[index % len(_COLOURS)]
        start, end = place(here, qx, qy), place(there, hx, hy)
        draw.line((*start, *end), fill=f"{colour}99", width=_FINE)
        for x, y in (start, end):
            draw.ellipse((x - 3 * _FINE, y - 3 * _FINE, x + 3 * _FINE, y + 3 * _FINE), fill=colour, outline="white", width=2)
    mine, theirs = _outlines(hit, region)
    for corners, panel, colour in ((mine, here, ACCENT), (theirs, there, _OUTLINE)):
        if corners:
            _outline(layer, [place(panel, *corner) for corner in corners], panel, colour)
    small = layer.resize(canvas.size, Image.Resampling.BOX)
    out = canvas.convert("RGBA")
    out.alpha_composite(small)
    return out.convert("RGB")


def _outlines(hit: FeatureHit, region: tuple[float, ...] | None) -> tuple[list[_Point], list[_Point]]:
    """What to outline in each: a shared part; the query, or its region, in the hit; the hit in a query that contains it."""
    if hit.verdict == "shared part":
        return _points(hit.part_in_query), _points(hit.part_in_hit)
    if region is not None:
        x, y, width, height = region
        return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)], _points(hit.polygon)
    if hit.verdict != "contains" or hit.transform is None:
        return [], _points(hit.polygon)
    width, height = float(hit.facts["_width"]), float(hit.facts["_height"])
    return _through(np.linalg.inv(np.array(hit.transform)).tolist(), [(0, 0), (width, 0), (width, height), (0, height)]), []


def _outline(layer: Image.Image, points: list[_Point], panel: _Place, colour: str) -> None:
    """A closed line around what lies within the panel."""
    left, top, _, width, height = panel
    points = _clipped(points, (left * _FINE, top * _FINE, (left + width) * _FINE, (top + height) * _FINE))
    if not points:
        return
    draw = ImageDraw.Draw(layer)
    closed = [*points, points[0], points[1]]
    draw.line(closed, fill="white", width=6 * _FINE, joint="curve")
    draw.line(closed, fill=colour, width=3 * _FINE, joint="curve")


def _clipped(points: list[_Point], box: tuple[float, float, float, float]) -> list[_Point]:
    """A polygon cut to a rectangle (Sutherland and Hodgman, 1974)."""
    for axis, limit, sign in ((0, box[0], 1), (1, box[1], 1), (0, box[2], -1), (1, box[3], -1)):
        kept: list[_Point] = []
        for before, point in zip([*points[-1:], *points[:-1]], points, strict=True):
            ahead, there = sign * (before[axis] - limit), sign * (point[axis] - limit)
            if (ahead >= 0) != (there >= 0):
                share = ahead / (ahead - there)
                kept.append((before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])))
            if there >= 0:
                kept.append(point)
        points = kept
    return points


def _hit_panel(hit: FeatureHit) -> tuple[Image.Image, float]:
    """The hit's panel, and its pixels for each pixel of the picture as it was indexed."""
    width = int(hit.facts["_width"])
    try:
        place = picture_place(hit.uri)
        if place is None:
            raise ImageError(f"{hit.uri}: not a local file", reason="unsupported")
        source = picture_source(place)
        panel = _panel(open_image(source, at_least=(_SIDE, _SIDE)))
    except ImageError:
        height = int(hit.facts["_height"])
        scale = _SIDE / max(width, height)
        panel = Image.new("RGB", scaled_size((width, height), scale), PANEL)
    return panel, panel.width / width


def _panel(picture: Image.Image) -> Image.Image:
    """The picture over white, its longest side `_SIDE` pixels."""
    scale = _SIDE / max(picture.size)
    size = scaled_size(picture.size, scale)
    method = Image.Resampling.NEAREST if scale >= 4 else Image.Resampling.LANCZOS
    panel = Image.new("RGB", size, "white")
    clear = picture.mode in ("LA", "RGBA")
    small = picture.convert("RGBA" if clear else "RGB").resize(size, method, reducing_gap=3.0 if scale < 1 else None)
    panel.paste(small, mask=small if clear else None)
    return panel


def _empty(left: Image.Image, fonts: Typography) -> Image.Image:
    canvas = Image.new("RGB", (2 * _MARGIN + 2 * _SIDE + _GAP, _MARGIN + _HEAD + left.height), "white")
    canvas.paste(left, (_MARGIN, _MARGIN + _HEAD - 10))
    draw = ImageDraw.Draw(canvas)
    draw.text((_MARGIN, _MARGIN), "Query", fill=ACCENT, font=fonts.font(17))
    draw.text((_MARGIN + _SIDE + _GAP, _MARGIN), "No picture is proven to contain it", fill=MUTED, font=fonts.font(17))
    return canvas


def _points(polygon: tuple[tuple[float, ...], ...] | None) -> list[_Point]:
    return [(x, y) for x, y in polygon or ()]


def _through(matrix: Sequence[Sequence[float]], points: list[_Point]) -> list[_Point]:
    out = []
    for x, y in points:
        a, b, depth = (row[0] * x + row[1] * y + row[2] for row in matrix)
        if depth <= 0:
            return []  # beyond the horizon of a strong perspective
        out.append((a / depth, b / depth))
    return out
