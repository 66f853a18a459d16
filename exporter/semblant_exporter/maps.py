"""Embeddings drawn in two dimensions, and queries beside what they find."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from semblant_search.errors import DataError
from semblant_search.images import scaled_size
from semblant_search.shown import counted

from semblant_exporter import metrics
from semblant_exporter.checkpoint import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from PIL import Image

    from semblant_exporter.metrics import Neighbours
    from semblant_exporter.pictures import PictureArray

__all__ = ["draw_all", "draw_labels", "draw_neighbours", "draw_thumbnails", "project"]

_INK, _QUIET, _RIGHT, _WRONG = "#1f2933", "#9aa5b1", "#1b7f4d", "#c2410c"
_SIDE = 1800
_MOST_COLOURS = 20
_FEWEST = 5
_MOST_MAPPED = 2000
_MOST_QUERIES = 10
_HITS = 10
_STYLE: dict[str, Any] = {"font.size": 10, "text.color": _INK, "axes.titlelocation": "left", "axes.titleweight": "bold"}


def draw_all(
    folder: Path,
    name: str,
    index: tuple[np.ndarray, PictureArray],
    queries: tuple[np.ndarray, PictureArray],
) -> list[Path]:
    """Maps of a sample of the queries, with labels and as thumbnails, and what one query of each label finds in the index.

    `index` and `queries` are vectors float32 `[n, D]` with their pictures. Returns the files in `folder`.
    """
    vectors, asked = queries
    drawn = [folder / "map-labels.png", folder / "map-pictures.png", folder / "neighbours.png"]
    random = np.random.default_rng(0)
    rows = np.sort(random.permutation(len(asked))[:_MOST_MAPPED])
    places = project(vectors[rows])
    labels = [asked.labels[row] for row in rows]
    draw_labels(places, labels, drawn[0], title=f"{name}: t-SNE of {len(rows):,} pictures")
    draw_thumbnails(places, np.asarray(asked.pixels[rows]), drawn[1], title=f"{name}: t-SNE")
    shuffled = random.permutation(len(asked)).tolist()
    firsts = {asked.labels[row]: row for row in reversed(shuffled) if asked.labels[row] is not None}
    chosen = sorted(firsts.items(), key=lambda entry: str(entry[0]))[:_MOST_QUERIES]
    heads = np.array([row for _, row in chosen] if len(firsts) > 1 else sorted(shuffled[:_MOST_QUERIES]), dtype=np.int64)
    known = {uri: row for row, uri in enumerate(index[1].uris)}
    itself = np.array([known.get(asked.uris[row], -1) for row in heads], dtype=np.int64)
    overlap = bool((itself >= 0).any())
    found = metrics.nearest(index[0], vectors[heads], min(_HITS, len(index[0]) - overlap), exclude=itself if overlap else None)
    draw_neighbours(asked, heads, index[1], found, drawn[2], title=f"{name}: nearest of {len(index[0]):,} pictures")
    return drawn


def project(vectors: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """t-SNE of embeddings `[n, D]`, by way of 50 principal components: float64 `[n, 2]`. Thousands take some ten seconds.

    Raises:
        DataError: fewer than five vectors.
    """
    if len(vectors) < _FEWEST:
        raise DataError(f"{counted(len(vectors), 'picture')}: a map needs at least {_FEWEST}")
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    components = min(50, *vectors.shape)
    reduced = PCA(components, random_state=seed).fit_transform(vectors) if components < vectors.shape[1] else vectors
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    # In double precision and from the first components: the same picture for the same seed.
    placed: np.ndarray = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced.astype(np.float64))
    return placed.astype(np.float64)


def draw_labels(places: np.ndarray, labels: Sequence[str | None], path: Path, *, title: str) -> None:
    """A point for each picture at `places` `[n, 2]`, in the colour of its label; the most frequent labels are named."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke
    from matplotlib.style import context

    counts = Counter(label for label in labels if label is not None)
    named = [label for label, _ in counts.most_common(_MOST_COLOURS)]
    colours = colormaps["tab10" if len(named) <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    given = np.array([label if label in named else None for label in labels], dtype=object)
    with context(_STYLE):
        figure = Figure(figsize=(11, 8.4), layout="constrained")
        axes = figure.subplots()
        size = float(np.clip(16_000 / len(places), 4, 60))
        rest = np.array([label is None for label in given])
        if rest.any():
            others = len(counts) - len(named)
            name = f"{others} other labels" if others else "no label"
            axes.scatter(places[rest, 0], places[rest, 1], s=size * 0.7, color="#d5dae0", linewidths=0, label=name)
        for number, label in enumerate(sorted(named)):
            mine = places[given == label]
            axes.scatter(mine[:, 0], mine[:, 1], s=size, color=colours[number], linewidths=0, alpha=0.8, label=label)
            if len(named) <= 10:  # more would cover each other
                middle = np.median(mine, axis=0)
                nearest = mine[np.argmin(((mine - middle) ** 2).sum(1))]  # the median itself may lie between two clusters
                halo = [withStroke(linewidth=3, foreground="white")]
                axes.annotate(label, nearest, ha="center", va="center", fontweight="bold", fontsize=11, path_effects=halo)
        _bare(axes, places)
        axes.set_title(title, fontsize=13)
        legend = figure.legend(loc="outside right upper", frameon=False, markerscale=float(np.sqrt(50 / size)))
        for handle in legend.legend_handles:
            if handle is not None:
                handle.set_alpha(1)
        _save(figure, path)


def draw_thumbnails(places: np.ndarray, pixels: np.ndarray, path: Path, *, title: str) -> None:
    """The pictures themselves, uint8 `[n, h, w, c]`, at `places` `[n, 2]`; of those that would cover each other, one."""
    from PIL import Image

    side = int(np.clip(_SIDE / np.sqrt(len(places)) * 1.1, 36, 110))
    low, high = places.min(axis=0), places.max(axis=0)
    spots = (places - low) / np.maximum(high - low, 1e-9) * (_SIDE - side)
    canvas = Image.new("RGB", (_SIDE, _SIDE), "white")
    taken: set[tuple[int, int]] = set()
    # From the densest places outwards would favour the middle; a fixed shuffle favours nobody.
    for row in np.random.default_rng(0).permutation(len(places)):
        cell = int(spots[row, 0] // side), int(spots[row, 1] // side)
        if cell not in taken:
            taken.add(cell)
            picture = _thumbnail(pixels[row], side - 2)
            canvas.paste(picture, (cell[0] * side, _SIDE - side - cell[1] * side))
    image = _titled(canvas, f"{title} · {len(taken):,} of {len(places):,} shown")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())


def draw_neighbours(
    queries: PictureArray, rows: np.ndarray, index: PictureArray, neighbours: Neighbours, path: Path, *, title: str
) -> None:
    """Chosen queries (`rows` of `queries`), each at the head of a line with what it finds: `neighbours` has a row for each.

    Hits are framed by whether their label is the query's; below each stand its score and its label.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.style import context

    count, shown = neighbours.rows.shape
    cell, gap, head = 1.15, 0.42, 0.75
    width, height = 0.3 + cell * (shown + 1) + 0.35, head + count * (cell + gap) + 0.1
    with context(_STYLE):
        figure = Figure(figsize=(width, height))
        figure.text(0.2 / width, 1 - 0.2 / height, title, fontsize=13, fontweight="bold", va="top")
        for line in range(count):
            label = queries.labels[rows[line]]
            entries = [(queries.pixels[rows[line]], f"query: {label}" if label else "query", _INK)]
            for place in range(shown):
                row = int(neighbours.rows[line, place])
                hit = index.labels[row]
                colour = _QUIET if label is None or hit is None else _RIGHT if hit == label else _WRONG
                entries.append((index.pixels[row], f"{neighbours.scores[line, place]:.2f} {hit or ''}", colour))
            bottom = height - head - (line + 1) * (cell + gap) + gap
            for column, (picture, caption, colour) in enumerate(entries):
                left = 0.2 + column * cell + (0.25 if column else 0)
                axes = figure.add_axes((left / width, bottom / height, (cell - 0.12) / width, (cell - 0.12) / height))
                grey = picture.shape[2] == 1
                axes.imshow(picture[:, :, 0] if grey else picture, cmap="gray", vmin=0, vmax=255)
                axes.set_axis_off()
                frame = Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=colour, linewidth=3)
                frame.set_clip_on(False)
                axes.add_patch(frame)
                axes.text(
                    0.5, -0.07, _short(caption), transform=axes.transAxes, ha="center", va="top", fontsize=8, color=colour
                )
        _save(figure, path)


def _short(text: str) -> str:
    """The end of a folder name says more than its beginning."""
    text = text.strip()
    score, _, label = text.partition(" ")
    label = label.rpartition("/")[2]
    whole = f"{score} {label}".strip()
    return whole if len(whole) <= 17 else whole[:16] + "…"


def _bare(axes: Any, places: np.ndarray) -> None:
    """No ticks: the axes of t-SNE mean nothing."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_aspect("equal")
    axes.margins(0.04)
    axes.set_xlim(places[:, 0].min(), places[:, 0].max())
    axes.set_ylim(places[:, 1].min(), places[:, 1].max())
    axes.autoscale()


def _thumbnail(pixels: np.ndarray, side: int) -> Image.Image:
    from PIL import Image

    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    return picture.resize(scaled_size(picture.size, side / max(picture.size)), Image.Resampling.LANCZOS)


def _titled(canvas: Image.Image, title: str) -> Image.Image:
    """With a title above, in the font of the other figures."""
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_manager.findfont(font_manager.FontProperties(weight="bold")), 30)
    margin, head = 24, 84
    result = Image.new("RGB", (canvas.width + 2 * margin, canvas.height + head + margin), "white")
    ImageDraw.Draw(result).text((margin, 26), title, fill=_INK, font=font)
    result.paste(canvas, (margin, head))
    return result


def _save(figure: Figure, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    write_atomically(path, image.getvalue())
