"""Dependencies between the parts point one way only: indexer → search ← exporter."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "search/semblant_search": {"semblant_indexer", "semblant_exporter", "torch", "torchvision"},
    "indexer/semblant_indexer": {"semblant_exporter", "torch", "torchvision"},
    "exporter/semblant_exporter": {"semblant_indexer"},
}


def imported_packages(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_part_imports_only_what_the_arrows_allow(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    wrong = {
        str(file.relative_to(ROOT)): sorted(found)
        for file in files
        if (found := imported_packages(file.read_text()) & FORBIDDEN[folder])
    }
    assert wrong == {}


def test_files_stay_readable() -> None:
    """One role a file: 400 lines is where a file has surely grown a second one."""
    long = {
        str(file.relative_to(ROOT)): count
        for folder in FORBIDDEN
        for file in (ROOT / folder).rglob("*.py")
        if (count := len(file.read_text().splitlines())) > 400
    }
    assert long == {}
