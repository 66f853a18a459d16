"""Columns and keys with dots, brackets and quotes in their names become fields that a filter can name."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest
from semblant_indexer.sources import open_source
from semblant_search import SearchClient
from semblant_search.where import F
from support.trees import by_name, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

NAMES = {
    ("size.width", "size.height"): {"size": {"width": 1, "height": 2}},
    ("size", "size.width"): {"size": 1, "size_width": 2},
    ("size.width", "size"): {"size_width": 1, "size": 2},
    ("a.b", "a.b.c"): {"a": {"b": 1}, "a_b_c": 2},
    ("a.b", "a_b"): {"a": {"b": 1}, "a_b": 2},
    ("No.", "Obj. Nr."): {"No": 1, "Obj_ Nr": 2},
    ("v1.5", "2.5"): {"v1_5": 1, "2_5": 2},
    ("a[0]", "a[1].x"): {"a_0": 1, "a_1_x": 2},
    ('the "best"', "it's"): {"the _best": 1, "it's": 2},
    ("a..b", ".c"): {"a_b": 1, "c": 2},
    ("x\ny", "Größe (cm)"): {"x_y": 1, "Größe (cm)": 2},
    ("a]", "a["): {"a": 1},  # two of one name: told
    ("_x", "x"): {"x": 2},  # an underscore is Semblant's own: told
    ("...", "[]"): {},
}


def expected_note(names: tuple[str, str], notes: list[str]) -> bool:
    return any(note.startswith(("left out: ", "kept under other names: ")) for note in notes)


@pytest.mark.parametrize(("names", "expected"), NAMES.items(), ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet"])
def test_names_are_kept_as_a_filter_can_say_them(
    names: tuple[str, str], expected: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    root = tree(tmp_path / "p", "a.png")
    row = {"file": "a.png", names[0]: 1, names[1]: 2}
    if kind == "csv":
        with (root / "metadata.csv").open("w", newline="") as file:
            csv.writer(file).writerows([row.keys(), row.values()])
    elif kind == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")

        parquet.write_table(pyarrow.table({name: [value] for name, value in row.items()}), root / "metadata.parquet")
    else:
        (root / ("metadata.jsonl" if kind == "jsonl" else "a.png.json")).write_text(json.dumps(row))
    source = open_source(str(root))
    metadata = dict(by_name(source)["a.png"].metadata)
    if kind == "json":
        metadata.pop("file")
    assert metadata == expected
    plain = not any(character in "".join(names) for character in '"[]\n') and set(expected) <= {
        name.split(".")[0] for name in names
    }
    assert expected_note(names, list(source.notes)) == (not plain or len(str(expected).split(":")) < 3)


def test_a_column_with_a_dot_is_found_by_its_name(pictures: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    files = sorted((pictures / "coat").iterdir())
    rows = [f"coat/{file.name},{number},m{number % 2},{number}" for number, file in enumerate(files)]
    (pictures / "metadata.csv").write_text("\n".join(["file,size.width,size.unit,Obj. Nr.", *rows]))
    index(pictures)
    with SearchClient(tmp_path / "db") as client:
        assert client.count("size.width >= 5") == 5
        assert client.count('size.unit == "m1"') == 5
        assert client.count(F("Obj_ Nr") < 3) == 3
        assert client.facet("size.unit") == {"m0": 5, "m1": 5}
        assert client.get(files[3]).metadata["size"] == {"width": 3, "unit": "m1"}
    assert index(pictures).unchanged == 30
