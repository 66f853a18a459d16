"""`docs/attacks.md` names tests that exist, and every test of an attack is named there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "attacks.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(test_\w+)`", PAGE))


def _tests(pattern: str) -> set[str]:
    found: set[str] = set()
    for path in HERE.glob(pattern):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    return found


def test_every_test_that_is_named_exists() -> None:
    assert sorted(NAMED - _tests("test_*.py")) == []


def test_every_attack_that_is_tried_is_named() -> None:
    harmless = {"test_the_names_of_this_machine_are_served", "test_what_loopback_is"}
    assert sorted(_tests("test_web_attacks_*.py") - NAMED - harmless) == []


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| attack |")]
    assert len(rows) > 40
    assert [row for row in rows if not re.search(r"`test_\w+` *(, `test_\w+`)* *\|$", row)] == []
