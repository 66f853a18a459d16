"""For and against: from what agrees in the overlap of two pictures, and what does not, to one number."""

from __future__ import annotations

from math import atanh, lgamma, log, log1p

__all__ = ["USUAL_DISAGREEMENT", "evidence", "strength"]

_CHANCE = 1e-3
"""How often a wrong match agrees with a transform; measured on pictures that have nothing in common."""
_LEAST_EVIDENCE = 0.1
_LEAST_CORRELATION = -0.5
# Logistic regression: changed copies (`bench/details.py`'s first seven changes) against the shortlisted lookalikes of
# photographs that a collection does not hold, at 400, 200 and 96 pixels. One set of numbers for all sizes and collections;
# what a value is worth in one of them is for its calibration to say.
_LAID_OVER = (2.4, 3.5, 7.75, -7.8)
_WITHOUT = (2.85, 4.85, 0.9)
_MOVED = (1.2, 3.3, 2.4, 2.0, -5.8)
"""What was cut, pasted, turned or tilted correlates less than a card of one deck with another, for it was drawn anew; but it
does so in all places. So that is weighed by itself: crops, pasted, tilted, turned and framed pictures against the strongest
lookalikes of clip art and of photographs of clothing, those left out that do show the same."""
_PLACES = 1.02
"""The share of places that agree counts by −ln(1.02 − share): .95 is half as far from 1 as .9 is."""
_PLACE_LAID_OVER = 2.0
USUAL_DISAGREEMENT = 3.5
"""Disagreement that is found in copies, too."""
_AGAINST = 4.0
"""Weight of more: an icon of the same family with another sign (7 to 18) loses all that speaks for it, a picture in another
light (seldom 5, of much strength) does not."""
_UNCHANGED = atanh(0.94)
"""Of copies that lie over each other as they are, recompressed, blurred or in another light, one in ten correlates less; of
cards of one deck, and balloons in two colours, four in five."""
_CHANGED = 15.0
_MOST = 12.0
"""What a change takes away, at most: a photograph with a line of text over a twelfth of it is still that photograph, where the
collection's own pictures are no family of lookalikes (see `calibration`). What takes correlation as well is not: with an opaque
bar over a twentieth of them 7 of 20 photographs were proven, over a ninth none."""
_MOST_MOVED = 4.0
"""What was tilted or covered has such places, too."""


def evidence(witnesses: float, matches: int) -> float:
    """−log10 of how many transforms with as many witnesses random matches would give.

    A-contrario reasoning (Moisan and Stival, "A probabilistic criterion to detect rigid point matches", IJCV 2004): each pair
    of matches proposes a transform, and each other match agrees by chance with probability `_CHANCE`. The leading term of the
    binomial tail is enough, and takes fractions.
    """
    agree = max(witnesses - 2, 0.1)
    others = max(matches - 2, agree)
    log_tail = lgamma(others + 1) - lgamma(agree + 1) - lgamma(others - agree + 1)
    log_tail += agree * log(_CHANCE) + (others - agree) * log1p(-_CHANCE)
    return -(log_tail + log(matches * (matches - 1) / 2)) / log(10)


def strength(
    evidence: float,
    support: float,
    correlation: float | None,
    disagreement: float,
    *,
    everywhere: float = 1.0,
    laid_over: bool = False,
) -> float:
    """Log-odds that two pictures show the same, where lookalikes and copies are equally frequent.

    Two that lie over each other as they are, and two of which one is a part of the other, or moved, are weighed differently,
    and calibrated apart (`calibration`). All members of a series lie over each other, and agree in nearly all.

    Args:
        evidence: of the details that agree.
        support: their number ÷ the smaller number of details that either picture has in the overlap, 0–1.
        correlation: of the pixels in the overlap, −1 to 1; None where they are not at hand.
        disagreement: of the details in the place where they agree least (`disagreement.disagreement`).
        everywhere: share of the places in the overlap whose pixels correlate by themselves, 0–1.
        laid_over: one lies exactly over the other, so that nothing but a change takes from the correlation.
    """
    agreed = log(max(evidence, _LEAST_EVIDENCE))
    supported = log(max(support, 1e-3))
    against = max(0.0, disagreement - USUAL_DISAGREEMENT)
    if correlation is None:
        total = _WITHOUT[0] * agreed + _WITHOUT[1] * supported + _WITHOUT[2]
        return total - min(_MOST, _AGAINST * against)
    pixels = atanh(max(correlation, _LEAST_CORRELATION))
    if not laid_over:
        total = _MOVED[0] * agreed + _MOVED[1] * supported + _MOVED[2] * pixels - _MOVED[3] * log(_PLACES - everywhere)
        return total + _MOVED[4] - min(_MOST_MOVED, against)
    total = _LAID_OVER[0] * agreed + _LAID_OVER[1] * supported + _LAID_OVER[2] * pixels + _LAID_OVER[3]
    total -= _PLACE_LAID_OVER * log((_PLACES - everywhere) / (_PLACES - 1))
    return total - min(_MOST, _AGAINST * against + _CHANGED * max(0.0, _UNCHANGED - pixels))
