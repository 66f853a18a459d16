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
_WITH_PIXELS = (2.4, 3.5, 7.75, -7.8)
_WITHOUT = (2.85, 4.85, 0.9)
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
"""What a change takes away, at most: a photograph with a caption, or a sticker on a twentieth of it, is still that photograph,
where the collection's own pictures are no family of lookalikes (see `calibration`)."""


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
    evidence: float, support: float, correlation: float | None, disagreement: float, *, laid_over: bool = False
) -> float:
    """Log-odds that two pictures show the same, where lookalikes and copies are equally frequent.

    Args:
        evidence: of the details that agree.
        support: their number ÷ the smaller number of details that either picture has in the overlap, 0–1.
        correlation: of the pixels in the overlap, −1 to 1; None where they are not at hand.
        disagreement: of the details in the place where they agree least (`disagreement.disagreement`).
        laid_over: one lies exactly over the other, so that nothing but a change takes from the correlation.
    """
    agreed = log(max(evidence, _LEAST_EVIDENCE))
    supported = log(max(support, 1e-3))
    changed = _AGAINST * max(0.0, disagreement - USUAL_DISAGREEMENT)
    if correlation is None:
        total = _WITHOUT[0] * agreed + _WITHOUT[1] * supported + _WITHOUT[2]
    else:
        pixels = atanh(max(correlation, _LEAST_CORRELATION))
        total = _WITH_PIXELS[0] * agreed + _WITH_PIXELS[1] * supported + _WITH_PIXELS[2] * pixels + _WITH_PIXELS[3]
        if laid_over:
            changed += _CHANGED * max(0.0, _UNCHANGED - pixels)
    return total - min(_MOST, changed)
