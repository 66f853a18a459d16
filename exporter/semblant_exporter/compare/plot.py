"""One picture of a comparison: quality against cost, and how each encoder bears each kind of alteration."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from semblant_exporter.checkpoint import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from .choice import Choice
    from .measure import Comparison

__all__ = ["draw"]

_INK, _QUIET, _CHOSEN, _OTHER = "#1f2933", "#7b8794", "#1d5fa8", "#9fb3c8"
_STYLE: dict[str, Any] = {
    "axes.edgecolor": "#c3cad1",
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.size": 9.5,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def draw(comparison: Comparison, choice: Choice, path: Path) -> None:
    """Write the plot as PNG."""
    from matplotlib.figure import Figure
    from matplotlib.style import context

    count = len(comparison.scores)
    with context(_STYLE):
        figure = Figure(figsize=(11.5, max(4.2, 2.2 + 0.48 * count)), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        _cost(left, comparison, choice)
        _alterations(right, comparison, choice)
        figure.suptitle(
            f"{count} encoder{'s' * (count != 1)} on {comparison.pictures:,} pictures: take {choice.name}",
            x=0.01,
            ha="left",
            fontsize=13,
            fontweight="bold",
        )
        image = io.BytesIO()
        figure.savefig(image, format="png", dpi=150)
    write_atomically(path, image.getvalue())


def _cost(axes: Axes, comparison: Comparison, choice: Choice) -> None:
    """Quality against milliseconds; names stand beside their points, apart from each other."""
    labelled = any("P@10" in score.labels for score in comparison.scores)
    points = sorted(comparison.scores, key=lambda score: score.quality)
    times = [score.ms for score in points]
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 2.5, max(times) * 2.5)
    low, high = points[0].quality, points[-1].quality
    room = max(0.05, high - low) * 0.18
    axes.set_ylim(low - room, high + room)
    middle = float(np.sqrt(min(times) * max(times)))
    height = -1.0
    for score in points:
        chosen = score.name == choice.name
        axes.plot(score.ms, score.quality, "o", color=_CHOSEN if chosen else _OTHER, markersize=11 if chosen else 8, zorder=3)
        height = max(score.quality, height + (high - low + 2 * room) * 0.055)
        to_the_right = score.ms <= middle
        axes.annotate(
            score.name,
            (score.ms, score.quality),
            xytext=(score.ms * (1.3 if to_the_right else 1 / 1.3), height),
            ha="left" if to_the_right else "right",
            va="center",
            color=_CHOSEN if chosen else _INK,
            fontweight="bold" if chosen else "normal",
        )
    axes.grid(color="#e8ebee")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("milliseconds a picture")
    axes.set_title("Quality and cost")
    axes.set_ylabel("mean of copies' MRR and labels' P@10" if labelled else "MRR of altered copies")


def _alterations(axes: Axes, comparison: Comparison, choice: Choice) -> None:
    """A table of shades: how often the original is found first."""
    kinds = list(comparison.scores[0].alterations)
    scores = sorted(comparison.scores, key=lambda score: -score.quality)
    values = np.array([[score.alterations[kind]["recall@1"] for kind in kinds] for score in scores])
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        dark = values[row, column] > 0.6
        axes.text(column, row, f"{100 * values[row, column]:.0f}", ha="center", va="center", color="white" if dark else _INK)
    axes.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(scores)), [score.name for score in scores])
    for label in axes.get_yticklabels():
        if label.get_text() == choice.name:
            label.set_fontweight("bold")
            label.set_color(_CHOSEN)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("Altered copies whose original is found first, %")
