"""`--dry-run` says what a job would do, and writes nothing."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_indexer import IndexJob, preview
from semblant_indexer.cli.index import index as index_command
from semblant_search import EncoderMismatch, canonical_uri
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from semblant_indexer import IndexReport

    Index = Callable[..., IndexReport]


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of everything that Semblant itself writes."""
    kinds = (".json", ".sqlite", ".jsonl", ".onnx")
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.suffix in kinds and "shard" not in path.parts
    }


def test_a_preview_of_every_kind_of_change_is_what_the_job_then_does(
    pictures: Path, index: Index, encoder_file: Path, tmp_path: Path
) -> None:
    db = tmp_path / "db"

    def job(**options: Any) -> IndexJob:
        return IndexJob(str(pictures), encoder_file, str(db), orb=None, workers=1, threads=1, **options)

    first = preview(job())
    assert (first.found, first.new, first.removed) == (30, 30, 0)
    assert not db.exists()
    index(pictures)
    bags, coats = sorted((pictures / "bag").iterdir()), sorted((pictures / "coat").iterdir())
    bags[0].rename(pictures / "bag" / "new name.png")
    shutil.copyfile(coats[0], bags[1])
    bags[2].unlink()
    (pictures / "metadata.csv").write_text("file,label\n" + "".join(f"{path},outdoors\n" for path in coats[:3]))
    (pictures / "bad.png").write_text("no picture")
    before = states(db)
    found = preview(job(prune=True))
    assert states(db) == before
    assert (found.found, found.new, found.changed, found.moved_here, found.moved) == (30, 1, 1, 1, 1)
    assert (found.removed, found.pruned, found.gone) == (1, 1, (canonical_uri(bags[2]),))
    assert found.metadata == found.found - found.new - found.changed - found.moved_here - found.unchanged
    shown = CliRunner().invoke(index_command, [str(pictures), "--db", str(db), "--dry-run", "--prune", "--prune-limit", "1"])
    assert shown.stdout.startswith(f"gone\t{canonical_uri(bags[2])}\nfound 30 = 1 new + 1 changed")
    assert "--prune removed nothing" in shown.stderr
    done = CliRunner().invoke(index_command, [str(pictures), "--db", str(db), "--dry-run", "--prune", "--json"])
    assert json.loads(done.stdout) == json.loads(json.dumps(found.to_json()))
    report = index(pictures, prune=True)
    assert (report.moved, report.removed, report.pruned) == (found.moved, found.removed, found.pruned)
    assert report.indexed == found.changed + found.moved_here + found.metadata  # the new one is no picture
    assert preview(job()).failed == 1


def test_a_preview_with_a_lost_ledger_reads_what_the_job_would(
    pictures: Path, index: Index, encoder_file: Path, tmp_path: Path
) -> None:
    index(pictures)
    (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    found = preview(IndexJob(str(pictures / "bag"), encoder_file, str(tmp_path / "db"), orb=None))
    assert (found.found, found.new, found.unchanged, found.metadata) == (10, 0, 10, 0)
    assert not (tmp_path / "db" / "images" / "ledger.sqlite").exists()


def test_a_preview_refuses_what_the_job_would(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures / "bag")
    index(pictures / "coat")
    finer = tmp_path / "finer.onnx"
    finer.write_bytes(encoder_bytes("grey-28-finer"))
    job = IndexJob(str(pictures / "bag"), finer, str(tmp_path / "db"), orb=None)
    with pytest.raises(EncoderMismatch, match="--rebuild"):
        preview(job)
    found = preview(IndexJob(str(pictures / "bag"), finer, str(tmp_path / "db"), orb=None, rebuild=True))
    assert (found.new, found.notes[-2]) == (10, "all of it anew (--rebuild)")
    assert found.notes[-1].startswith("source 'coat' (file:")
