"""The tests of the search run on macOS and Windows as well: what these lack, no test uses without saying so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TESTS = Path(__file__).parents[1]
FILES = sorted((TESTS / "search").glob("test_*.py"))
LACKING = {
    "needs_posix": r"os\.fork\b|mkfifo|SIGKILL|SIGTERM|signal\.alarm|signal\(signal\.SIGINT|fcntl|os\.(get|set)e?uid",
    "needs_proc": r"/proc/",
}
"""What says that a test needs something, and what that is."""


def _definitions(tree: ast.Module, text: str) -> Mapping[str, str]:
    """The text of what a module defines at its top, by name."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = ast.get_source_segment(text, node) or ""
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.get_source_segment(text, node) or ""
    return found


def _all_of(name: str, definitions: Mapping[str, str]) -> str:
    """The text of a definition, and of all in its module that it uses."""
    known, queue = set[str](), [name]
    while queue:
        current = queue.pop()
        known.add(current)
        queue += (set(re.findall(r"\w+", definitions[current])) & definitions.keys()) - known
    return "\n".join(definitions[each] for each in sorted(known))


def _tests(path: Path) -> Iterator[tuple[str, str, str]]:
    """Name, marks and all of the text of each test."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    definitions = _definitions(tree, text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, " ".join(ast.unparse(each) for each in node.decorator_list), _all_of(node.name, definitions)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_some_systems_lack_is_not_used_without_saying_so(path: Path) -> None:
    for name, marks, text in _tests(path):
        for mark, lacking in LACKING.items():
            used = re.search(lacking, text)
            assert used is None or mark in marks.split() or "skipif" in marks, f"{name}: {used[0]} without @{mark}"


def test_such_uses_are_found() -> None:
    marked = [marks for path in FILES for _, marks, _ in _tests(path)]
    assert {mark for mark in LACKING if any(mark in marks.split() for marks in marked)} == set(LACKING)


def test_nothing_that_they_load_needs_one_system() -> None:
    for path in (TESTS / "conftest.py", *FILES, *(TESTS / "search").glob("conftest.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {"fcntl", "grp", "pwd", "resource", "termios"}.intersection(names), path.name
