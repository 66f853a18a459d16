"""Figures of a training run as PNG files: how the losses fell, and originals beside what the decoder makes of them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from semblant_search.errors import InvalidInput

from semblant_exporter.checkpoint import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure

    from semblant_exporter.trainer import Epoch

__all__ = ["losses", "picture_rows"]

_TRAIN, _VALIDATION, _INK = "#8da2b5", "#1d5fa8", "#30363d"
_STYLE: dict[str, Any] = {
    "axes.edgecolor": "#c3cad1",
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "figure.dpi": 150,
    "font.size": 9.5,
    "grid.color": "#e8ebee",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def losses(history: Sequence[Epoch], path: Path, *, kept: int, title: str = "Losses", validation: str | None = None) -> None:
    """Training and validation loss over the epochs, with the one marked whose weights were kept.

    Args:
        history: at least one epoch.
        path: of the PNG.
        kept: number of that epoch.
        title: above it.
        validation: what the validation loss measures where that is not the training loss; it then has an axis of its own.
    """
    if not history:
        raise InvalidInput("no epoch to draw: the training has not finished its first one")
    from matplotlib.figure import Figure
    from matplotlib.style import context
    from matplotlib.ticker import MaxNLocator

    epochs = [epoch.number for epoch in history]
    best = next(epoch for epoch in history if epoch.number == kept)
    reason = "lowest validation" if best.validation == min(epoch.validation for epoch in history) else "kept, the last one"
    with context(_STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.subplots()
        beside = axes if validation is None else axes.twinx()
        marker = "o" if len(epochs) < 4 else None
        lines = axes.plot(
            epochs, [epoch.train for epoch in history], color=_TRAIN, linewidth=1.8, label="training", marker=marker
        )
        values, name = (
            [epoch.validation for epoch in history],
            "validation" if validation is None else f"validation: {validation}",
        )
        lines += beside.plot(epochs, values, color=_VALIDATION, linewidth=2.2, label=name, marker=marker)
        note = f"{reason}: {best.validation:.4g} in epoch {best.number}"
        point: dict[str, Any] = {"color": _VALIDATION, "markersize": 9, "markeredgecolor": "white", "markeredgewidth": 1.5}
        lines += beside.plot(best.number, best.validation, "o", label=note, linestyle="none", **point)
        if beside is not axes:
            beside.grid(visible=False)
            beside.set_ylabel("validation loss")
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss" if beside is axes else "training loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.03)
        figure.legend(handles=lines, frameon=False, loc="outside lower center", ncols=2)  # a loss may rise into any corner
        _save(figure, path)


def picture_rows(rows: Sequence[tuple[str, np.ndarray]], path: Path, *, title: str) -> None:
    """Named rows of pictures above each other, such as originals and reconstructions: each uint8 `[n, h, w, c]`, equal n."""
    from matplotlib.figure import Figure
    from matplotlib.style import context

    count = len(rows[0][1])
    height, width = rows[0][1].shape[1:3]
    cell = 0.62 if count > 8 else 0.9
    label_width = 1.15
    with context({**_STYLE, "axes.grid": False}):
        size = (label_width + cell * count + 0.15, 0.5 + (cell * height / width + 0.06) * len(rows) + 0.1)
        figure = Figure(figsize=size)
        figure.text(0.12 / size[0], 1 - 0.16 / size[1], title, fontsize=12, fontweight="bold", ha="left", va="top")
        top = 1 - 0.5 / size[1]
        tall, wide = cell * height / width / size[1], cell / size[0]
        for number, (name, pictures) in enumerate(rows):
            bottom = top - (number + 1) * tall - number * 0.06 / size[1]
            figure.text(0.12 / size[0], bottom + tall / 2, name, ha="left", va="center")
            for column, picture in enumerate(pictures):
                left = (label_width + column * cell) / size[0]
                axes = figure.add_axes((left, bottom, wide * 0.95, tall))
                axes.imshow(picture[:, :, 0] if picture.shape[2] == 1 else picture, cmap="gray", vmin=0, vmax=255)
                axes.set_axis_off()
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    write_atomically(path, image.getvalue())
