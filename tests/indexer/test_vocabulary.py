"""`semblant vocabulary`: new visual words out of stored features, in a new generation that the index job goes on with."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from PIL import Image
from semblant_indexer import IndexJob, run
from semblant_indexer.retraining import RetrainJob, retrain
from semblant_search import NotIndexed, SearchClient
from semblant_search.cli import semblant
from semblant_search.orb import Vocabulary
from semblant_search.store import open_database

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def grown(clipart: Path, encoder_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `pictures` and the database `db` of it: too few details to learn words of at first, more by now."""
    root = tmp_path_factory.mktemp("grown")
    drawings = [path for path in sorted(clipart.rglob("*.png")) if 20_000 < path.stat().st_size < 60_000][::4][:340]
    for part in (drawings[:40], drawings[40:]):
        for path in part:
            (root / "pictures").mkdir(exist_ok=True)
            shutil.copyfile(path, root / "pictures" / f"{path.parent.name}-{path.name}")
        report = run(IndexJob(str(root / "pictures"), encoder_file, str(root / "db"), threads=1))
        assert report.failed == 0
    return root


@pytest.fixture
def folder(grown: Path, tmp_path: Path) -> Path:
    """A copy of it; the pictures themselves stay where they were."""
    shutil.copytree(grown / "db", tmp_path / "db")
    return tmp_path


def facts(db: Path) -> dict[str, Any]:
    with closing(open_database(db)) as database:
        store = database.open("images")
        try:
            records = {record.id: record for record in store.scroll(with_image=True)}
            features = {record.id: record for record in store.retrieve(sorted(records), with_features=True)}
            kept = {
                id: (record.payload, None if record.image is None else record.image.round(5).tolist())
                for id, record in records.items()
            }
            packed = {id: None if record.features is None else record.features.tobytes() for id, record in features.items()}
            return {"orb": dict(store.manifest.orb or {}), "records": kept, "features": packed}
        finally:
            store.close()


def test_a_grown_collection_learns_words_of_its_own_and_keeps_all_else(folder: Path, grown: Path, encoder_file: Path) -> None:
    before = facts(folder / "db")
    assert before["orb"]["vocabulary"] == Vocabulary.general().fingerprint
    phases: list[str] = []
    report = retrain(RetrainJob(str(folder / "db")), lambda progress: phases.append(progress.phase))
    assert list(dict.fromkeys(phases)) == ["vocabulary", "words", "optimize", "calibrate", "done"]
    assert (report.before, report.generation, report.points) == ("g0001", "g0002", 340)
    assert report.descriptors > 50_000
    after = facts(folder / "db")
    assert after["orb"]["vocabulary"] == report.fingerprint != before["orb"]["vocabulary"]
    assert after["records"] == before["records"]
    assert after["features"] == before["features"]
    # The index job goes on with it: nothing to look at, nothing to encode.
    again = run(IndexJob(str(grown / "pictures"), encoder_file, str(folder / "db"), threads=1))
    assert (again.generation, again.unchanged, again.indexed, again.encoded) == ("g0002", 340, 0, 0)
    assert "index" not in again.stages
    found, asked = 0, sorted((grown / "pictures").iterdir())[::20]
    with SearchClient(folder / "db") as client:
        for path in asked:
            with Image.open(path) as picture:
                flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")).convert("L")
            width, height = flat.size
            hits = client.search_features(flat.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8)), limit=3)
            found += path in {hit.path for hit in hits}
    assert found >= 0.85 * len(asked)


def test_the_same_words_again_make_no_new_generation(folder: Path) -> None:
    first = retrain(RetrainJob(str(folder / "db"), keep_generations=0))
    second = retrain(RetrainJob(str(folder / "db")))
    assert (second.changed, second.generation, second.fingerprint) == (False, first.generation, first.fingerprint)
    with closing(open_database(folder / "db")) as database:
        assert database.generations("images") == ["g0002"]


def test_the_command_says_what_serves_and_a_rollback_undoes_it(folder: Path) -> None:
    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(semblant, [*arguments, "--db", str(folder / "db")])

    done = invoke("vocabulary", "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert (data["changed"], data["generation"], data["before"], data["points"]) == (True, "g0002", "g0001", 340)
    assert "Writing visual words" in done.stderr
    said = invoke("vocabulary", "--quiet")
    assert said.stdout == "images: g0002 has these words already; nothing changed\n"
    assert said.stderr == ""
    assert json.loads(invoke("status", "--json").stdout)["generations"][-1]["outcomes"] == {"indexed": 340}
    assert invoke("rollback").exit_code == 0
    with closing(open_database(folder / "db")) as database:
        assert database.collections() == {"images": "g0001"}


def test_a_collection_without_features_says_so(encoder_file: Path, pictures: Path, tmp_path: Path) -> None:
    run(IndexJob(str(pictures), encoder_file, str(tmp_path / "db"), orb=None, workers=1, threads=1))
    with pytest.raises(NotIndexed, match="without ORB"):
        retrain(RetrainJob(str(tmp_path / "db")))
    missing = CliRunner().invoke(semblant, ["vocabulary", "--db", str(tmp_path / "db"), "--collection", "other"])
    assert missing.exit_code == 1
    assert "Traceback" not in missing.stderr
