"""How hits are laid out for people and for pipes: columns, places, values on one line."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from semblant_search import Hit
from semblant_search.cli.output import place_of, print_hits, print_json, text_of


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _shown(monkeypatch: pytest.MonkeyPatch, hits: list[Hit], stream: io.StringIO) -> list[list[str]]:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stdout", stream)
    print_hits(hits)
    plain = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue())
    return [line.split() for line in plain.splitlines() if line.strip(" ─")]


def _hit(name: str, /, **metadata: object) -> Hit:
    return Hit(id=name, uri=f"https://host/{name}", metadata=metadata, score=0.123456789)


def test_a_table_has_label_first_then_what_most_hits_have_five_columns_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    hits = [_hit("a", rare=0, a=1, b=2, c=3, d=4), _hit("b", a=1, b=2, c=3, d=4, label="bag")]
    header, first, second = _shown(monkeypatch, hits, _Terminal())
    assert header == ["score", "picture", "label", "a", "b", "c", "d"]
    assert first == ["1", "0.1235", "https://host/a", "1", "2", "3", "4"]  # no label
    assert second == ["2", "0.1235", "https://host/b", "bag", "1", "2", "3", "4"]


def test_pipes_get_all_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = _shown(monkeypatch, [_hit("a", x=[1, 2], label="a\tb", name="naïve")], io.StringIO())
    assert line == ["0.123457", "https://host/a", "x=[1,", "2]", 'label="a\\tb"', "name=naïve"]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("file:///pictures/a%20b.jpg", "/pictures/a b.jpg"),
        ("file:///pictures/a%0Ab.jpg", "file:///pictures/a%0Ab.jpg"),
        ("s3://bucket/a.jpg", "s3://bucket/a.jpg"),
    ],
)
def test_a_place_is_a_path_unless_it_would_break_the_line(uri: str, place: str) -> None:
    assert place_of(Hit(id="1", uri=uri)) == place


@pytest.mark.parametrize(
    ("value", "text"),
    [("plain", "plain"), ("two\nlines", '"two\\nlines"'), (1.5, "1.5"), (True, "true"), (None, "null"), (["é"], '["\\u00e9"]')],
)
def test_a_value_stays_on_one_line(value: object, text: str) -> None:
    assert text_of(value) == text


def test_documents_are_ascii_and_indented(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "é", "n": [1]})
    printed = capsys.readouterr().out
    assert printed == '{\n  "name": "\\u00e9",\n  "n": [\n    1\n  ]\n}\n'
    assert json.loads(printed) == {"name": "é", "n": [1]}
