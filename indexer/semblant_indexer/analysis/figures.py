"""Drawings of analyses: the map with pictures in place of points, the elbow, silhouettes, and what clusters look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from semblant_search.collection import uri_path
from semblant_search.drawing.gallery import thumbnail
from semblant_search.drawing.typography import Typography
from semblant_search.errors import ImageError, MissingExtra
from semblant_search.images import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .clusters import Clustering

__all__ = ["draw_elbow", "draw_map", "draw_rows", "draw_silhouettes"]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#ee8866", "#44bb99", "#aaaa00")
"""Paul Tol's bright and light schemes, which people of all kinds of sight tell apart."""
INK, MUTED, BLUE = "#222222", "#777777", COLOURS[0]
_MARGIN = 24


def draw_map(
    positions: np.ndarray,
    uris: Sequence[str],
    *,
    labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    size: int = 1600,
    tile: int = 56,
) -> Image.Image:
    """The map: a point for each picture, and pictures on it wherever one fits without covering another.

    Args:
        positions: float32 `[n, 2]`.
        uris: of the pictures; one that cannot be read stays a point.
        labels: int32 `[n]`, the colour of each point.
        names: of the labels, written where their points have their median.
        size: pixels of each side.
        tile: pixels of a picture's longer side.
    """
    canvas = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(canvas)
    if not len(positions):
        return canvas
    low, high = positions.min(axis=0), positions.max(axis=0)
    span = float(max(high - low)) or 1.0
    inner = size - 2 * _MARGIN - tile
    at = (positions - (low + high) / 2) / span * inner + size / 2
    at[:, 1] = size - at[:, 1]
    radius = max(1, round(size / 500))
    for row, (x, y) in enumerate(at):
        colour = COLOURS[int(labels[row]) % len(COLOURS)] if labels is not None else BLUE
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    for row in _apart(at, tile + 4):
        picture = _picture(uris[row], tile)
        if picture is None:
            continue
        x, y = (round(float(value)) for value in at[row])
        left, top = x - picture.width // 2, y - picture.height // 2
        canvas.paste(picture, (left, top))
        if labels is not None:
            colour = COLOURS[int(labels[row]) % len(COLOURS)]
            draw.rectangle((left - 2, top - 2, left + picture.width + 1, top + picture.height + 1), outline=colour, width=2)
    if labels is not None:
        _write_names(draw, at, labels, names)
    return canvas


def draw_rows(rows: Sequence[tuple[str, str, Sequence[str]]], *, tile: int = 112, columns: int = 8) -> Image.Image:
    """Rows of pictures with a title and a line below it each, such as clusters with their representatives.

    Args:
        rows: title, line, URIs.
        tile: pixels of each picture's square.
        columns: pictures in a row, at most.
    """
    fonts = Typography.covering("".join(title + line for title, line, _ in rows))
    text, gap = 300, 8
    canvas = Image.new("RGB", (2 * _MARGIN + text + columns * (tile + gap), 2 * _MARGIN + len(rows) * (tile + gap)), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (title, line, uris) in enumerate(rows):
        y = _MARGIN + number * (tile + gap)
        draw.text((_MARGIN, y + 20), fonts.elide(title, 22, text - 20), fill=INK, font=fonts.font(22))
        draw.text((_MARGIN, y + 56), fonts.elide(line, 16, text - 20), fill=MUTED, font=fonts.font(16))
        for column, uri in enumerate(uris[:columns]):
            x = _MARGIN + text + column * (tile + gap)
            picture = _picture(uri, tile)
            if picture is None:
                draw.rectangle((x, y, x + tile - 1, y + tile - 1), outline=MUTED)
            else:
                canvas.paste(picture, (x + (tile - picture.width) // 2, y + (tile - picture.height) // 2))
    return canvas


def draw_elbow(found: Clustering) -> Figure:
    """What is left unexplained by each number of clusters, and the number that was chosen."""
    figure, axes = _figure("clusters", "sum of squared distances to the centres")
    numbers = sorted(found.inertias)
    axes.plot(numbers, [found.inertias[number] for number in numbers], color=BLUE, marker="o", markersize=3)
    axes.axvline(found.k, color=COLOURS[1], linestyle="--", label=f"{found.k} clusters")
    axes.legend(frameon=False)
    return figure


def draw_silhouettes(found: Clustering) -> Figure:
    """How well each picture of a sample sits in its cluster: bars of silhouettes, cluster by cluster, and their mean."""
    figure, axes = _figure("silhouette", "pictures, by cluster")
    start = 0
    labels = found.labels[found.sampled]
    for cluster in range(found.k):
        values = np.sort(found.silhouettes[labels == cluster])
        axes.fill_betweenx(np.arange(start, start + len(values)), 0, values, color=COLOURS[cluster % len(COLOURS)])
        if len(values):
            axes.text(-0.02, start + len(values) / 2, str(cluster), ha="right", va="center", fontsize=8)
        start += len(values) + max(1, len(labels) // 100)
    if not np.isnan(found.silhouettes).all():
        axes.axvline(float(found.silhouettes.mean()), color=INK, linestyle="--", linewidth=1)
    axes.set_yticks([])
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
    path = uri_path(uri)
    if path is None:
        return None
    try:
        whole = thumbnail(open_image(path), tile)
    except ImageError:
        return None
    return whole


def _write_names(draw: ImageDraw.ImageDraw, at: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> None:
    fonts = Typography.covering("".join(names))
    for cluster, name in enumerate(names):
        rows = labels == cluster
        if not name or not rows.any():
            continue
        x, y = np.median(at[rows], axis=0)
        width = fonts.length(name, 20)
        place = (min(max(float(x) - width / 2, 4), draw.im.size[0] - width - 4), float(y) - 12)
        draw.text(place, name, fill=INK, font=fonts.font(20), stroke_width=4, stroke_fill="white")
