"""Text of any language and length in drawings."""

from __future__ import annotations

import pytest
from semblant_search.drawing.typography import Typography


def test_as_much_of_a_text_is_kept_as_fits() -> None:
    fonts, text = Typography.covering("a"), "The quick brown fox jumps over the lazy dog"
    for width in range(16, 200, 3):
        cut = fonts.elide(text, 15, width)
        assert cut.endswith("…")
        assert fonts.length(cut, 15) <= width
        kept = cut[:-1]
        assert text.startswith(kept)
        assert not kept.endswith(" ")
        following = text[: len(kept) + 1 + (text[len(kept)] == " ")]
        assert fonts.length(following + "…", 15) > width


def test_a_text_that_fits_is_left_as_it_is_but_for_what_cannot_be_drawn() -> None:
    fonts = Typography.covering("x")
    assert fonts.elide("exact", 15, fonts.length("exact", 15)) == "exact"
    assert fonts.elide("", 15, 10) == ""
    assert fonts.elide("two\nlines\t\x00\udce9", 15, 1000) == "two·lines···"
    assert fonts.elide("anything", 15, 1) == "…"
    assert fonts.length("two\nlines", 15) == fonts.length("two·lines", 15)


def test_larger_letters_are_wider() -> None:
    fonts = Typography()
    assert fonts.length("abc", 30) == pytest.approx(2 * fonts.length("abc", 15), rel=0.1)
    assert fonts.length("abcabc", 15) > 1.9 * fonts.length("abc", 15)


def test_pillow_s_own_font_is_taken_where_it_has_the_letters() -> None:
    own = Typography().font(20)
    for text in ("plain", "", " \n\t", "(0.5 · >99.9 %) “word” …"):
        assert Typography.covering(text).font(20) is own


def test_a_font_of_the_system_is_taken_where_it_has_more_of_the_letters() -> None:
    fonts = Typography.covering("日本語 Ωж")
    assert fonts.length("日本語", 15) > 0  # whichever fonts there are
    assert fonts.elide("日本語 Ωж" * 20, 15, 100).endswith("…")
