"""What `learn` has tried: a row for each, with what it was measured at, and which of them to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semblant_search.shown import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from semblant_search.images import Fit
    from torch import nn

    from .guide import Guide

__all__ = ["Made", "Row", "best", "reason"]

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Row:
    """One thing that was tried, measured on pictures that it did not learn from.

    Attributes:
        way: name in `WAYS`.
        what: in words, such as `efficientnet-lite1, whitened to .25`.
        guide: by neighbours alone.
        ms: milliseconds a picture of this encoder alone, while it was measured.
        precision: P@k where there are labels, of as many neighbours as the guide; shown, and never chosen by.
        comparable: whether the guide may rank it: smoothing over neighbours raises the guide by itself.
    """

    way: str
    what: str
    guide: Guide
    ms: float
    precision: float | None = None
    comparable: bool = True

    def to_json(self) -> dict[str, Any]:
        """The form that a card and `--json` have."""
        return {
            "way": self.way,
            "what": self.what,
            **self.guide.to_json(),
            "ms": round(self.ms, 3),
            **({} if self.precision is None else {f"P@{self.guide.k}": round(self.precision, 4)}),
        }


@dataclass(frozen=True)
class Made:
    """An encoder that could be written now.

    Attributes:
        row: what it was measured at.
        graph: makes the module that is exported; called once, for the one that is taken.
        fit: how pictures are fitted for it.
        architecture, objective, training: for the card.
        vectors: float32 `[n, D]`, unit length, of the sample, by what was learned from its learned part alone.
        stopped: whether its training was broken off.
    """

    row: Row
    graph: Callable[[], nn.Module]
    fit: Fit
    architecture: str
    objective: str
    training: dict[str, Any]
    vectors: np.ndarray
    stopped: bool = False


def best(made: Sequence[Made]) -> Made:
    """The one with the highest guide, of equal ones the first; with its neighbours' means, if it was tried with them, too."""
    top = max((one for one in made if one.row.comparable), key=lambda one: one.row.guide.score)
    return next((one for one in made if one.row.way == top.row.way and not one.row.comparable), top)


def reason(
    chosen: Made, made: Sequence[Made], *, wanted: str | None, asked: int, few: bool = False, untried: Sequence[str] = ()
) -> str:
    """Why it was taken, in a sentence; `few`: of so few photographs that the guide was not followed.

    Its numbers are those that it was chosen by, beside the best of another way that could be chosen. `untried` are the ways
    that were not carried out, as it was broken off before.
    """
    said = f"; broken off before {' and '.join(untried)} {'was' if len(untried) == 1 else 'were'} tried" if untried else ""
    comparable = [one.row for one in made if one.row.comparable]
    own = next((row for row in comparable if row.way == chosen.row.way), chosen.row)
    if wanted is not None and chosen.row.way == wanted:
        return f"--way {wanted} was asked for{said}"
    if wanted is not None:
        return f"--way {wanted} was asked for, but broken off before it was there: {chosen.row.way} is the best until then"
    if few:
        number = "one" if asked == 1 else str(asked)
        return f"they are too few to tell by {number} of them what suits them: a network that has seen others is taken{said}"
    others = [row for row in comparable if row.way != own.way]
    if not others:
        return f"nothing else {'was' if untried else 'could be'} tried{said}"
    second = max(others, key=lambda row: row.guide.score)
    k = own.guide.k
    neighbours = "the nearest neighbours" if k == 1 else f"{_NUMBERS[k]} neighbours"
    measured = f"{counted(asked, 'picture')} that it did not learn from"
    return (
        f"of {len(made)} tried it keeps {own.guide.shared:.0%} of {neighbours} when a picture changes and "
        f"{own.guide.transitive:.0%} of them know each other, on {measured}; the next, "
        f"{second.way} ({second.what}), {second.guide.shared:.0%} and {second.guide.transitive:.0%}{said}"
    )
