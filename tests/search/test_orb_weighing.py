"""For and against: what each thing that is known of a match adds to its strength, and takes away."""

from __future__ import annotations

from itertools import pairwise
from math import comb, isfinite, log10

import numpy as np
import pytest
from semblant_search.orb.weighing import evidence, strength

EVIDENCE, SUPPORT = (0.5, 1.0, 3.0, 10.0, 40.0, 150.0), (0.01, 0.05, 0.2, 0.5, 1.0)
CORRELATION = (None, -0.4, 0.0, 0.3, 0.7, 0.95)


def rises(values: list[float]) -> bool:
    return all(one < other for one, other in pairwise(values))


def test_each_argument_raises_the_strength_whatever_the_others_are() -> None:
    for support in SUPPORT:
        for correlation in CORRELATION:
            assert rises([strength(found, support, correlation, 0.0) for found in EVIDENCE])
    for found in EVIDENCE:
        for correlation in CORRELATION:
            assert rises([strength(found, support, correlation, 0.0) for support in SUPPORT])
        for support in SUPPORT:
            assert rises([strength(found, support, correlation, 0.0) for correlation in CORRELATION if correlation is not None])


def test_a_place_where_nothing_agrees_speaks_against_a_match_once_it_is_more_than_copies_have() -> None:
    for correlation, laid_over, most in [(None, False, 12), *((value, True, 12) for value in (0.94, 0.995)), (0.7, False, 4)]:
        whole = strength(90.0, 0.5, correlation, 0.0, laid_over=laid_over)
        assert strength(90.0, 0.5, correlation, 3.5, laid_over=laid_over) == whole
        assert rises([strength(90.0, 0.5, correlation, against, laid_over=laid_over) for against in (6.0, 5.0, 4.0, 3.6, 3.5)])
        least = strength(90.0, 0.5, correlation, 18.0, laid_over=laid_over)
        assert least == pytest.approx(whole - most), "no more than so much"
    assert strength(45.0, 0.25, 0.95, 4.5, laid_over=True) > 5, "a copy in another light"
    assert strength(60.0, 0.3, 0.85, 8.0, everywhere=0.8, laid_over=True) < -8, "a card of another suit"
    assert strength(170.0, 0.57, 0.95, 14.0, laid_over=True) > 3, "a photograph with a caption over it"


def test_pixels_of_what_lies_over_each_other_as_it_is_have_to_agree_better() -> None:
    found = [strength(90.0, 0.5, value, 0.0, laid_over=True) for value in (0.8, 0.9, 0.92, 0.94, 0.96)]
    assert rises(found)
    assert found[3] - found[2] > found[4] - found[3] + 1, "steeper, below .94"
    assert strength(90.0, 0.5, 0.9, 0.0, laid_over=True) < 8 < strength(90.0, 0.5, 0.95, 0.0, laid_over=True)
    both, one = (strength(90.0, 0.5, 0.3, against, laid_over=True) for against in (9.0, 0.0))
    assert both == one, "both, at most"
    assert strength(90.0, 0.5, None, 0.0, laid_over=True) == strength(90.0, 0.5, None, 0.0)


def test_places_that_do_not_agree_speak_against_a_match_the_more_the_nearer_to_all_the_others_come() -> None:
    """Of a copy all agree, wherever it lies; of lookalikes half, or four fifths, and of a drawing in other colours most."""
    for laid_over in (True, False):
        found = [strength(60.0, 0.3, 0.95, 0.0, everywhere=share, laid_over=laid_over) for share in (0.0, 0.4, 0.8, 0.95, 1.0)]
        assert rises(found)
        assert found[4] - found[3] > 2
        assert found[3] - found[2] > found[2] - found[1]
        assert strength(60.0, 0.3, 0.95, 0.0, laid_over=laid_over) == found[4]
    assert strength(60.0, 0.3, None, 0.0, everywhere=0.2) == strength(60.0, 0.3, None, 0.0)


def test_what_was_cut_or_tilted_is_told_from_a_lookalike_by_its_places_where_its_correlation_is_no_better() -> None:
    tilted = strength(40.0, 0.15, 0.8, 3.0, everywhere=0.95)
    assert tilted > 0 > strength(40.0, 0.15, 0.8, 3.0, everywhere=0.6) + 3
    assert strength(8.0, 0.1, 0.3, 1.0, everywhere=0.3) < -8, "by chance"


def test_pixels_that_agree_speak_for_a_match_and_pixels_that_do_not_against_it() -> None:
    """Log-odds: above 0, copies are the likelier explanation."""
    for found, support in ((8.0, 0.2), (20.0, 0.2), (20.0, 0.5)):
        alone = strength(found, support, None, 0.0)
        assert strength(found, support, 0.95, 0.0, laid_over=True) > alone + 2
        assert strength(found, support, 0.2, 0.0, everywhere=0.3, laid_over=True) < alone - 2
        for laid_over in (True, False):
            assert strength(found, support, 0.0, 0.0, everywhere=0.2, laid_over=laid_over) < 0
    assert strength(30.0, 0.3, 0.95, 0.0) > 5
    assert strength(3.0, 0.05, 0.1, 0.0, everywhere=0.3) < -10


def test_twice_the_evidence_or_support_adds_the_same_wherever_it_begins() -> None:
    for correlation in (None, 0.5):
        for name in ("evidence", "support"):
            at = [
                strength(value if name == "evidence" else 10, value / 10 if name == "support" else 0.5, correlation, 0.0)
                for value in (1, 2, 4, 8)
            ]
            steps = [other - one for one, other in pairwise(at)]
            assert steps == pytest.approx([steps[0]] * 3)
            assert steps[0] > (1 if correlation is None or name == "support" else 0.2)


def test_nothing_at_all_is_weak_and_finite() -> None:
    for correlation in (None, -1.0, 0.0, 0.995):
        worst = strength(-300.0, 0.0, correlation, 0.0)
        assert isfinite(worst)
        assert worst < strength(1.0, 0.1, correlation, 0.0)
    assert strength(-5.0, 0.5, 0.5, 0.0) == strength(0.0, 0.5, 0.5, 0.0)
    assert strength(5.0, 0.5, -1.0, 0.0) == strength(5.0, 0.5, -0.5, 0.0)
    assert isfinite(strength(500.0, 1.0, 0.995, 0.0))


def tail(agree: int, others: int) -> float:
    """The leading term of the chance that as many of the others agree, each with one in a thousand."""
    return comb(others, agree) * 1e-3**agree * (1 - 1e-3) ** (others - agree)


@pytest.mark.parametrize(("witnesses", "matches"), [(3, 3), (4, 4), (5, 10), (12, 40), (20, 200), (40, 200)])
def test_evidence_is_the_number_of_transforms_that_chance_would_propose(witnesses: int, matches: int) -> None:
    """Two matches propose one; as many more have to agree with it."""
    expected = comb(matches, 2) * tail(witnesses - 2, matches - 2)
    assert evidence(witnesses, matches) == pytest.approx(-log10(expected), rel=1e-9)


def test_evidence_takes_fractions_and_rises_between_whole_numbers() -> None:
    values = [evidence(float(witnesses), 100) for witnesses in np.linspace(3, 60, 200)]
    assert rises(values)
    assert evidence(2.0, 4) == evidence(1.0, 4)  # fewer than it takes to propose one
    assert rises([evidence(12.0, matches) for matches in (200, 80, 30, 12)])
