"""Whatever happens to sources and ledgers, the collection holds what a plain model says, and each picture is its sources'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.examples import examples
from support.servers import server
from support.source_histories import History

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", range(examples(2)))
def test_a_random_history_of_a_directory(seed: int, tmp_path: Path, encoder_file: Path) -> None:
    history = History(tmp_path, encoder_file, str(tmp_path / "db"), seed)
    for _ in range(14):
        history.step()


@pytest.mark.parametrize("seed", range(100, 100 + examples(1)))
def test_a_random_history_of_a_server(seed: int, tmp_path: Path, encoder_file: Path) -> None:
    with server() as url:
        history = History(tmp_path, encoder_file, url, seed)
        for _ in range(12):
            history.step()
