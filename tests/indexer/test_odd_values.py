"""Columns that look like numbers, dates or truth values to people: what is read, and that a note tells of the rest."""

from __future__ import annotations

from typing import Any

import pytest
from semblant_search import FieldType
from semblant_search.writing.metadata import TypeInference, convert_record


def told(*cells: str) -> tuple[FieldType, list[Any], list[str]]:
    """The type of a column of text with these cells, its values, and the notes on it."""
    types = TypeInference(text=True)
    for line, cell in enumerate(cells, start=2):
        types.add({"x": cell}, line)
    return types.fields["x"], [types.convert({"x": cell}).get("x") for cell in cells], types.notes


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        *(
            (("WAHR", "FALSCH"), [True, False]),
            (("VRAI", "FAUX", ""), [True, False, None]),
            (("VERDADERO", "FALSO"), [True, False]),
        ),
        *((("ИСТИНА", "ЛОЖЬ"), [True, False]), (("TRUE", "FALSCH"), [True, False]), (("N/A", "WAAR"), [None, True])),
    ],
)
def test_truth_values_of_spreadsheets_are_read_in_their_languages(cells: tuple[str, ...], values: list[bool | None]) -> None:
    kind, found, notes = told(*cells)
    assert (kind, found) == (FieldType.BOOL, values)
    assert "read as truth values" in notes[0]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (("−5", "3"), FieldType.INTEGER, [-5, 3]),
        (("−1.234,50", "2,5"), FieldType.FLOAT, [-1234.5, 2.5]),
        (("−.5",), FieldType.FLOAT, [-0.5]),
    ],
)
def test_what_can_mean_one_thing_only_is_read(cells: tuple[str, ...], kind: FieldType, values: list[Any]) -> None:
    assert told(*cells)[:2] == (kind, values)


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        *(("truth value in words", cells) for cells in (("ja", "nein"), ("oui", "non"), ("Yes", "No"), ("y", "n"), ("wahr",))),
        *(("truth value in words", cells) for cells in (("true", "yes"), ("on", "off", "N/A"), ("да", "нет"), ("✓", "✗"))),
        *(
            ("sign behind it, or brackets", cells)
            for cells in (("(5)", "3"), ("(5)", "(1,234.50)"), ("5-", "3"), ("($ 5.00)",))
        ),
        *(("to another base", cells) for cells in (("0x1F", "0x20"), ("0b101",), ("0o17", "5"))),
        *(
            ("currency or a percent sign, or with a unit", cells)
            for cells in (("5 %", "7%"), ("CHF 5", "USD 7"), ("5 kr", "6"))
        ),
        *(
            ("currency or a percent sign, or with a unit", cells)
            for cells in (("12 cm", "13cm"), ("5 s",), ("−5 °C",), ("R$ 5,50",))
        ),
        *(
            ("way of writing that is not read", cells)
            for cells in (("1_000", "2"), ("1,00,000",), ("1/250", "1/60"), ("½", "1"))
        ),
        *(("way of writing that is not read", cells) for cells in (("inf", "1"), ("-Infinity",), ("1e400", "1"), ("١٢", "١٣"))),
        *(("way of writing that is not read", cells) for cells in (("44.1k",), ("2 1/2",), ("5×10^3",))),
        *(("time of day, or a duration", cells) for cells in (("12:30", "9:45"), ("1:02:03",), ("9:45 pm",), ("00:00:01.5",))),
        *(("name of a month", cells) for cells in (("5 May 2024",), ("May 5, 2024", "2024-05-06"), ("31. Mai 2024",))),
        *(("name of a month", cells) for cells in (("5 de mayo de 2024",), ("1 août 2024",))),
        *(("name of a month", cells) for cells in (("Fri, 31 May 2024 12:30:00 +0000",), ("Fri May 31 12:30:00 2024",))),
        *(("name of a month", cells) for cells in (("Mai 2024",), ("31-May-24",))),
        *(("month without a day", cells) for cells in (("2024-05", "2024-06"), ("05/2024",), ("2024/5", "2024-05-06"))),
        *(
            ("date in a way of writing that is not", cells)
            for cells in (("20240531T123000",), ("20240531T1230Z",), ("2024-W22",), ("2024-05-31 12:30:00 CET",))
        ),
        *(("date in a way of writing that is not", cells) for cells in (("2024-5-1", "2024-12-31"), ("2024-05-01+0200",))),
        *(("date that no calendar has", cells) for cells in (("2024-02-30",), ("2024-05-31 24:00",), ("2024-13-01",))),
    ],
)
def test_what_looks_like_a_value_and_stays_text_is_noted(words: str, cells: tuple[str, ...]) -> None:
    kind, found, notes = told(*cells)
    assert (kind, found) == (FieldType.KEYWORD, list(cells))
    assert len(notes) == 1
    assert words in notes[0], notes
    assert "kept as text" in notes[0]


@pytest.mark.parametrize("cells", [("(5)", "5%"), ("0x1F", "(5)"), ("12:30", "5 May 2024"), ("2024-05", "31.12.24")])
def test_ways_that_go_together_in_none_are_noted_too(cells: tuple[str, ...]) -> None:
    kind, _, notes = told(*cells)
    assert kind is FieldType.KEYWORD
    assert len(notes) == 1


@pytest.mark.parametrize(
    "cells",
    [
        *(
            ("no", "maybe"),
            ("Sand", "Kies"),
            ("SAND",),
            ("3D", "2D"),
            ("5s", "6s"),
            ("1.2.3",),
            ("192.168.0.1",),
            ("A-1", "B-2"),
        ),
        *(("0042", "0043"), ("10x15",), ("Q1 2024",), ("3 Mädchen",), ("iPhone 5",), ("1-2-3",), ("Room 5, 2024",), ("x",)),
        *(("information",), ("ISO 100",), ("f/2.8",), ("Paris (5)",), ("Saint 12, 2024",)),
    ],
)
def test_text_is_not_noted(cells: tuple[str, ...]) -> None:
    assert told(*cells) == (FieldType.KEYWORD, list(cells), [])


@pytest.mark.parametrize(
    ("text", "value"),
    [("ja", True), ("Nein", False), ("OUI", True), ("falsch", False), ("Y", True), ("n", False), ("✗", False), ("1", True)],
)
def test_a_column_that_is_declared_so_takes_truth_values_in_words(text: str, value: bool) -> None:
    assert convert_record({"x": text}, {"x": FieldType.BOOL}) == {"x": value}


def test_text_of_json_is_text() -> None:
    types = TypeInference(text=False)
    for line, value in enumerate(("WAHR", "ja", "(5)", "−5", "12:30"), start=1):
        types.add({f"x{line}": value}, line)
    assert set(types.fields.values()) == {FieldType.KEYWORD}
    assert types.notes == []
