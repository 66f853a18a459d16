"""Drawings of analyses: the map with pictures in place of points, the elbow, silhouettes, and what clusters look like."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw
from semblant_search.collection import picture_place
from semblant_search.drawing.gallery import fitted, name_of
from semblant_search.drawing.typography import Typography
from semblant_search.errors import ImageError, MissingExtra
from semblant_search.images import open_image, picture_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .clusters import Clustering

__all__ = ["draw_clusters", "draw_elbow", "draw_map", "draw_outliers", "draw_silhouettes"]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee8866", "#44bb99", "#aaaa00", "#997700")
"""Of Paul Tol's schemes, which people of all kinds of sight tell apart."""
NONE = "#bbbbbb"
"""Of pictures in no cluster: no colour that a cluster has."""
INK, MUTED, LINE, BLUE = "#222222", "#777777", "#dddddd", COLOURS[0]
_MARGIN = 24
_GAP = 8
_TEXT = 236
"""Pixels of the column beside clusters' pictures."""


def colour_of(cluster: int) -> str:
    """The colour of a cluster, in all drawings; grey for −1."""
    return COLOURS[cluster % len(COLOURS)] if cluster >= 0 else NONE


def draw_map(
    positions: np.ndarray,
    uris: Sequence[str],
    *,
    labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    shares: Sequence[float | None] = (),
    size: int = 1600,
    tile: int = 56,
) -> Image.Image:
    """The map: a point for each picture, and pictures on it wherever one fits without covering another.

    Args:
        positions: float32 `[n, 2]`.
        uris: of the pictures; one that cannot be read stays a point.
        labels: int `[n]`, the colour of each point; −1 is grey.
        names: of the labels, written where their points have their median.
        shares: of the names, written beside them: how sure each is, 0–1; None for one that is.
        size: pixels of the longer side.
        tile: pixels of a picture's longer side.
    """
    if not len(positions):
        return Image.new("RGB", (size, size), "white")
    low, high = positions.min(axis=0), positions.max(axis=0)
    span = float(max(high - low)) or 1.0
    scale = (size - 2 * _MARGIN - tile) / span
    edges = np.ceil((high - low) * scale).astype(int) + 2 * _MARGIN + tile
    canvas = Image.new("RGB", (int(edges[0]), int(edges[1])), "white")
    draw = ImageDraw.Draw(canvas)
    at = (positions - (low + high) / 2) * scale
    at = np.stack([edges[0] / 2 + at[:, 0], edges[1] / 2 - at[:, 1]], axis=1)
    _draw_points(draw, at, labels, max(1, round(size / 500)))
    for row in _apart(at, tile + 4):
        picture = _picture(uris[row], tile)
        if picture is None:
            continue
        x, y = (round(float(value)) for value in at[row])
        left, top = x - picture.width // 2, y - picture.height // 2
        if labels is not None:
            box = (left - 2, top - 2, left + picture.width + 1, top + picture.height + 1)
            draw.rectangle(box, fill=colour_of(int(labels[row])))
        canvas.paste(picture, (left, top))
    if labels is not None:
        shown = [_with_share(name, share) for name, share in zip_longest(names, shares)]
        _write_names(draw, at, labels, shown)
    return canvas


def draw_clusters(clusters: Sequence[Mapping[str, Any]], *, tile: int = 112, columns: int = 8) -> Image.Image:
    """A row for each cluster: its number, its name and how sure that is, its size, and its representatives.

    Args:
        clusters: what `cluster_collection` says of each.
        tile: pixels of each picture's square.
        columns: pictures in a row, at most.
    """
    fonts = Typography.covering("".join(one["name"] or "" for one in clusters))
    step = tile + _GAP
    width = 2 * _MARGIN + _TEXT + columns * step - _GAP
    canvas = Image.new("RGB", (width, 2 * _MARGIN + max(1, len(clusters)) * step - _GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for row, one in enumerate(clusters):
        y, number = _MARGIN + row * step, str(one["cluster"])
        draw.rectangle((_MARGIN, y, _MARGIN + 5, y + tile - 1), fill=colour_of(one["cluster"]))
        x = _MARGIN + 18
        draw.text((x, y + 14), number, fill=MUTED, font=fonts.font(22))
        named = x + max(22, fonts.length(number, 22) + 10)
        room = _MARGIN + _TEXT - 12
        draw.text((named, y + 14), fonts.elide(one["name"] or "", 22, room - named), fill=INK, font=fonts.font(22))
        lines = [f"{one['pictures']:,} pictures" if one["pictures"] != 1 else "1 picture"]
        if one["share"] is not None:
            lines.append(f"{one['share']:.0%} of them, {one['elsewhere']:.0%} elsewhere")
        for place, line in enumerate(lines):
            draw.text((x, y + 48 + 24 * place), fonts.elide(line, 16, room - x), fill=MUTED, font=fonts.font(16))
        for column, uri in enumerate(one["representatives"][:columns]):
            _draw_picture(canvas, uri, (_MARGIN + _TEXT + column * step, y), tile)
    return canvas


def draw_outliers(farthest: Sequence[tuple[str, float]], *, tile: int = 152, columns: int = 8) -> Image.Image:
    """Pictures that lie far from all others, farthest first, each with its score and its name.

    Args:
        farthest: URIs and scores.
        tile: pixels of each picture's square.
        columns: pictures in a row.
    """
    shown = [(uri, f"{score:.1f}", name_of(uri)) for uri, score in farthest]
    fonts = Typography.covering("".join(name for _, _, name in shown))
    columns = max(1, min(columns, len(shown)))
    step, down = tile + 2 * _GAP, tile + 56
    rows = max(1, -(-len(shown) // columns))
    size = (2 * _MARGIN + columns * step - 2 * _GAP, 2 * _MARGIN + rows * down - _GAP)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for place, (uri, score, name) in enumerate(shown):
        x, y = _MARGIN + place % columns * step, _MARGIN + place // columns * down
        _draw_picture(canvas, uri, (x, y), tile)
        draw.text((x, y + tile + 4), score, fill=INK, font=fonts.font(17))
        left = x + math.ceil(fonts.length(score, 17)) + 8
        draw.text((left, y + tile + 6), fonts.elide(name, 14, x + tile - left), fill=MUTED, font=fonts.font(14))
    return canvas


def draw_elbow(found: Clustering) -> Figure:
    """What is left unexplained by each number of clusters, and the number that was chosen."""
    figure, axes = _figure("number of clusters", "sum of squared distances to the centres")
    numbers = sorted(found.inertias)
    axes.plot(numbers, [found.inertias[number] for number in numbers], color=BLUE, marker="o", markersize=4)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0.5, numbers[-1] + 0.5)
    axes.locator_params(axis="x", integer=True)
    chosen = found.inertias[found.k]
    axes.plot([found.k, found.k], [0, chosen], color=COLOURS[1], linestyle="--", linewidth=1.5)
    axes.plot([found.k], [chosen], color=COLOURS[1], marker="o", markersize=9, linestyle="none")
    words = f"{found.k} clusters" if found.k != 1 else "1 cluster"
    axes.annotate(words, (found.k, chosen), xytext=(10, 12), textcoords="offset points", color=COLOURS[1], fontsize=12)
    return figure


def draw_silhouettes(found: Clustering, names: Sequence[str] = ()) -> Figure:
    """How well each picture of a sample sits in its cluster: bars of silhouettes, cluster by cluster, and their mean.

    The scale ends at 1, the best there is, in every such drawing, so that two of them can be compared.

    Args:
        found: the clusters.
        names: of them.
    """
    figure, axes = _figure("silhouette (1: far from all other clusters; below 0: nearer to another one)", "")
    start, ticks = 0, []
    labels = found.labels[found.sampled]
    there = ~np.isnan(found.silhouettes)
    figure.set_figheight(max(4.0, 1.2 + 0.3 * found.k))
    for cluster in range(found.k):
        values = -np.sort(-found.silhouettes[(labels == cluster) & there])
        rows = np.arange(start, start + len(values))
        axes.barh(rows, values, height=1.0, color=colour_of(cluster), align="edge")
        ticks.append(start + len(values) / 2)
        start += len(values) + max(2, len(labels) // 60)
    named = [f"{name}  {number}".strip() for number, name in zip_longest(range(found.k), names[: found.k], fillvalue="")]
    axes.set_yticks(ticks, [one if len(one) < 28 else f"…{one[-26:]}" for one in named])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(max(start, 1), 0)  # the largest, 0, on top
    lowest = float(found.silhouettes[there].min()) if there.any() else 0.0
    axes.set_xlim(min(-0.2, np.floor(lowest * 10) / 10), 1)
    axes.axvline(0, color=LINE, linewidth=1, zorder=0)
    if there.any():
        mean = float(found.silhouettes[there].mean())
        axes.axvline(mean, color=INK, linestyle="--", linewidth=1)
        axes.annotate(
            f"mean {mean:.2f}", (mean, 0), xytext=(4, 4), textcoords="offset points", fontsize=10, annotation_clip=False
        )
    else:
        words = "one cluster: nothing to compare it with" if found.k == 1 else "each cluster is one picture"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=MUTED)
    return figure


def _figure(x: str, y: str) -> tuple[Figure, Axes]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("figures of clusters", "semblant-indexer[map]") from error
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _apart(at: np.ndarray, distance: float) -> Iterator[int]:
    """Rows, in their order, of which no two lie nearer than `distance` in both directions: a greedy choice by a grid."""
    taken: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for row, (x, y) in enumerate(at.tolist()):
        cell = (int(x // distance), int(y // distance))
        near = ((cell[0] + i, cell[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1))
        if any(abs(x - u) < distance and abs(y - v) < distance for key in near for u, v in taken.get(key, ())):
            continue
        taken.setdefault(cell, []).append((x, y))
        yield row


def _picture(uri: str, tile: int) -> Image.Image | None:
    place = picture_place(uri)
    if place is None:
        return None
    try:
        return fitted(open_image(picture_source(place), at_least=(tile, tile)), tile)
    except ImageError:
        return None


def _draw_picture(canvas: Image.Image, uri: str, at: tuple[int, int], tile: int) -> None:
    """A picture in the middle of its square; a frame where it cannot be read."""
    picture = _picture(uri, tile)
    if picture is None:
        draw = ImageDraw.Draw(canvas)
        draw.rectangle((at[0], at[1], at[0] + tile - 1, at[1] + tile - 1), outline=LINE)
        draw.text((at[0] + tile / 2, at[1] + tile / 2), "?", fill=MUTED, anchor="mm", font=Typography().font(tile // 4))
    else:
        canvas.paste(picture, (at[0] + (tile - picture.width) // 2, at[1] + (tile - picture.height) // 2))


def _draw_points(draw: ImageDraw.ImageDraw, at: np.ndarray, labels: np.ndarray | None, radius: int) -> None:
    """Those in no cluster first: they lie below the others."""
    order = np.arange(len(at)) if labels is None else np.argsort(labels >= 0, kind="stable")
    for row in order.tolist():
        x, y = at[row].tolist()
        colour = BLUE if labels is None else colour_of(int(labels[row]))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _with_share(name: str | None, share: float | None) -> str:
    return f"{name} {share:.0%}" if name and share is not None else name or ""


def _write_names(draw: ImageDraw.ImageDraw, at: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> None:
    """Each where its cluster has its median, or as near below it as no other name is in the way."""
    fonts = Typography.covering("".join(names))
    width, height = draw.im.size
    written: list[tuple[float, float, float]] = []
    for cluster, name in enumerate(names):
        rows = labels == cluster
        if not name or not rows.any():
            continue
        long = fonts.length(name, 20)
        x, y = np.median(at[rows], axis=0).tolist()
        left = min(max(x - long / 2, 4), max(width - long - 4, 4))
        top = min(max(y - 12, 4), height - 28)
        while any(abs(top - other) < 26 and left < end and begin < left + long for begin, end, other in written):
            top += 26
        written.append((left, left + long, top))
        draw.text((left, top), name, fill=INK, font=fonts.font(20), stroke_width=4, stroke_fill="white")
