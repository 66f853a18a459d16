"""Which encoder to take, and why, in a sentence or two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from semblant_search.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .measure import Score

__all__ = ["Choice", "choose"]

CLOSE = 0.02
"""Encoders whose quality is within this of the best are as good, for all that a few hundred queries can tell."""


@dataclass(frozen=True)
class Choice:
    """The name of the encoder to take, and the reason."""

    name: str
    reason: str


def choose(scores: Sequence[Score]) -> Choice:
    """Of the encoders that are as good as the best (`Score.quality` within `CLOSE`), the fastest one."""
    if not scores:
        raise InvalidInput("no scores to choose from")
    best = max(scores, key=lambda score: score.quality)
    close = [score for score in scores if score.quality >= best.quality - CLOSE]
    chosen = min(close, key=lambda score: (score.ms, score.dim))
    parts = [_strength(chosen, labelled="P@10" in chosen.labels)]
    if chosen is not best:
        parts.append(
            f"{best.name} is better by {best.quality - chosen.quality:.3f}, within what counts as equal here ({CLOSE}), "
            f"and takes {best.ms / chosen.ms:.1f} times as long a picture"
        )
    elif len(scores) > 1:
        second = max((score for score in scores if score is not best), key=lambda score: score.quality)
        gap = best.quality - second.quality
        if second in close:
            parts.append(f"{second.name} is as good (behind by {gap:.3f}) and takes {second.ms / chosen.ms:.1f} times as long")
        else:
            faster = f", though {chosen.ms / second.ms:.1f} times as fast" if second.ms < chosen.ms else ""
            parts.append(f"the next, {second.name}, is behind by {gap:.3f}{faster}")
    weakest = min(chosen.alterations.items(), key=lambda entry: entry[1]["recall@1"])
    parts.append(f"its weak spot: {weakest[0]} (found first: {weakest[1]['recall@1']:.0%})")
    return Choice(chosen.name, "; ".join(parts))


def _strength(score: Score, *, labelled: bool) -> str:
    text = f"finds the original of {score.recall_at_1:.0%} of altered copies first, of {score.recall_at_10:.0%} among ten"
    return f"{text}, and {score.labels['P@10']:.0%} of its ten nearest have the same label" if labelled else text
