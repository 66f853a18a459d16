"""What a client adds is the point that a job writes, and no job takes it away."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_indexer import Duplicates, IndexJob, generations
from semblant_indexer.added import Carrying
from semblant_indexer.retraining import RetrainJob, retrain
from semblant_search import Encoder, InvalidInput, NewPicture, SearchClient, StoreLocked, canonical_uri, point_id
from semblant_search.orb import OrbSettings
from semblant_search.store import open_database
from support.encoders import encoder_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Record


@pytest.fixture
def various(photos: Path, pictures: Path, tmp_path: Path) -> Path:
    """A large JPEG that lies on its side, a photograph, one with a camera's facts, and one too small for details."""
    folder = tmp_path / "various"
    folder.mkdir()
    with Image.open(photos / "rocket.jpg") as picture:
        exif = picture.getexif()
        exif[0x0112], exif[0x0110] = 6, "X100"
        picture.resize((1280, 854)).save(folder / "turned.jpg", exif=exif)
    shutil.copyfile(photos / "chelsea.png", folder / "cat.png")
    shutil.copyfile(next((pictures / "bag").iterdir()), folder / "small.png")
    return folder


def stored(db: Path, ids: list[str] | None = None) -> dict[str, Record]:
    """All that a collection keeps of its pictures, by URI."""
    with closing(open_database(str(db))) as database, closing(database.open("images")) as store:
        ids = [record.id for record in store.scroll(fields=())] if ids is None else ids
        found = store.retrieve(ids, with_image=True, with_features=True, with_cells=True)
        return {str(record.payload["_uri"]): record for record in found}


def plain(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in ("_indexed_at", "_sources", "_fields_of")}


@pytest.mark.parametrize(
    ("encoder", "options"),
    [
        ("grey-28", {"orb": OrbSettings(), "exif": True}),
        ("grey-28", {}),
        ("grey-28-cells", {"orb": OrbSettings(features=50, thumbnail=0)}),
    ],
)
def test_a_client_adds_the_very_point_that_a_job_writes(
    various: Path, pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, encoder: Any, options: dict[str, Any]
) -> None:
    file = tmp_path / "this.onnx"
    file.write_bytes(encoder_bytes(encoder))
    index(various, encoder=file, db=str(tmp_path / "jobs"), **options)
    index(pictures / "coat", encoder=file, db=str(tmp_path / "clients"), **options)
    with SearchClient(tmp_path / "clients") as client:
        added = client.add_many(sorted(various.iterdir()))
        assert client.search(added[0].path, limit=1, include_self=True)[0].id == added[0].id
        if "orb" in options:
            words = {hit.id for hit in client.search_features(various / "cat.png", include_self=True)}
            assert words == {added[0].id}
    expected = stored(tmp_path / "jobs")
    found = stored(tmp_path / "clients", [one.id for one in added])
    assert found.keys() == expected.keys()
    for uri, record in expected.items():
        same = found[uri]
        assert (same.id, plain(same.payload)) == (record.id, plain(record.payload))
        assert same.payload["_sources"] == ["client"]
        for mine, theirs in ((same.image, record.image), (same.cells, record.cells)):
            assert (mine is None) == (theirs is None)
            if mine is not None and theirs is not None:
                np.testing.assert_allclose(mine, theirs, atol=1e-6)
        assert (same.features is None) == (record.features is None)
        if same.features is not None:
            np.testing.assert_array_equal(same.features, record.features)
    small = found[canonical_uri(various / "small.png")]
    assert small.features is None or not len(small.features)


def test_jobs_leave_alone_what_a_client_added(pictures: Path, index: Callable[..., IndexReport], tmp_path: Path) -> None:
    outside = pictures.parent / "outside.png"
    shutil.copyfile(next((pictures / "bag").iterdir()), outside)
    index(pictures)
    inside = pictures / "gone.png"
    with SearchClient(tmp_path / "db") as client:
        client.add(outside, {"owner": "me"})
        client.add(outside.read_bytes(), {"owner": "me"}, uri=inside)  # below the job's folder, but in no file
    report = index(pictures)
    assert (report.found, report.unchanged, report.points, report.pruned) == (30, 30, 32, 0)
    gone = next((pictures / "coat").iterdir())
    gone.rename(pictures / "coat" / "moved.png")
    report = index(pictures, prune=True)
    assert (report.moved, report.points) == (1, 32)
    (tmp_path / "db" / "images" / "ledger.sqlite").unlink()
    assert index(pictures, prune=True).points == 32
    assert index(pictures, prune=True, duplicates=Duplicates.MERGE).points == 32
    with SearchClient(tmp_path / "db") as client:
        assert client.count('owner == "me"') == 2
        assert client.delete([inside]) == 1
    assert index(pictures, prune=True).points == 31


def test_a_picture_of_both_has_the_metadata_of_both_and_stays(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path
) -> None:
    index(pictures)
    both = next((pictures / "coat").iterdir())
    new = pictures / "new.png"
    shutil.copyfile(both, new)
    with SearchClient(tmp_path / "db") as client:
        client.add_many([(both, {"owner": "me"}), NewPicture(new, {"owner": "me", "label": "mine"})])
    (pictures / "metadata.csv").write_text("file,label\nnew.png,theirs\n")
    report = index(pictures)
    assert (report.found, report.points) == (31, 31)
    with SearchClient(tmp_path / "db") as client:
        assert client.get(new).metadata == {"owner": "me", "label": "theirs"}
        assert client.get(both).metadata == {"owner": "me"}
    both.unlink()
    new.unlink()
    (pictures / "metadata.csv").unlink()
    assert index(pictures, prune=True).points == 31
    with SearchClient(tmp_path / "db") as client:
        assert client.count('owner == "me"') == 2


def test_a_rebuild_takes_along_what_a_client_added(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, photos: Path
) -> None:
    orb = OrbSettings(features=60)
    index(pictures, orb=orb)
    cat, buffer = photos / "chelsea.png", io.BytesIO()
    Image.open(photos / "coffee.png").save(buffer, "JPEG")
    both = next((pictures / "coat").iterdir())
    with SearchClient(tmp_path / "db") as client:
        added = client.add_many([(cat, {"owner": "me"}), (buffer, {"n": 3}), (both, {"owner": "both"})])
        with pytest.raises(StoreLocked, match=r"that a client added.*close the client"):
            index(pictures, orb=orb, rebuild=True)
    before = stored(tmp_path / "db", [one.id for one in added])
    report = index(pictures, orb=orb, rebuild=True)
    assert (report.generation, report.points) == ("g0002", 32)
    after = stored(tmp_path / "db", [one.id for one in added])
    for uri, record in before.items():
        assert plain(record.payload).items() <= plain(after[uri].payload).items()  # one has the job's label, too
        owners = after[uri].payload["_sources"]
        assert "client" in owners
        assert len(owners) == (2 if uri == canonical_uri(both) else 1)
        np.testing.assert_array_equal(after[uri].image, record.image)
        np.testing.assert_array_equal(after[uri].features, record.features)
    with SearchClient(tmp_path / "db") as client:
        assert [hit.id for hit in client.search_features(buffer, limit=1)] == [added[1].id]
        assert client.count('owner == "both"') == 1
    report = index(pictures, rebuild=True)  # without details
    assert (report.points, index(pictures, prune=True).points) == (32, 32)


def test_with_another_encoder_files_are_encoded_again_and_the_rest_is_refused_before_building(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, photos: Path
) -> None:
    finer = tmp_path / "finer.onnx"
    finer.write_bytes(encoder_bytes("grey-28-finer"))
    index(pictures)
    cat = photos / "chelsea.png"
    with SearchClient(tmp_path / "db") as client:
        client.add_many([(cat, {"owner": "me"}), (cat.read_bytes(), {}, "shop://17")])
    with pytest.raises(InvalidInput, match=r"1 pictures that a client added have no file.*'shop://17'"):
        index(pictures, encoder=finer, rebuild=True)
    assert not (tmp_path / "db" / "images" / "g0002").exists()
    with SearchClient(tmp_path / "db") as client:
        client.delete(["shop://17"])
    report = index(pictures, encoder=finer, rebuild=True, orb=OrbSettings())
    assert report.points == 31
    with SearchClient(tmp_path / "db") as client:
        assert client.get(cat).metadata == {"owner": "me"}
        assert client.search(cat.read_bytes(), limit=1)[0].score == pytest.approx(1, abs=1e-5)
        assert client.search_features(cat.read_bytes(), limit=1)[0].id == point_id(canonical_uri(cat))


def test_what_is_changed_while_a_generation_is_built_is_changed_in_it(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, photos: Path, encoder_file: Path
) -> None:
    index(pictures)
    cat, coffee, coins = (photos / f"{name}.png" for name in ("chelsea", "coffee", "coins"))
    job, encoder = IndexJob(str(pictures), db=str(tmp_path / "db"), orb=None, encoder=encoder_file), Encoder(encoder_file)
    with SearchClient(tmp_path / "db") as client:
        client.add_many([(cat, {"n": 1}), (coffee, {"n": 2})])
    with closing(open_database(job.db)) as db, closing(generations.begin(db, job, encoder, None)) as store:
        carrying = Carrying(db, job, encoder, "g0001")
        carrying.bring(store)
        assert store.count() == 2
        with SearchClient(db, encoder) as client:
            client.delete([cat])
            client.add(coins, {"n": 3})
            client.update_metadata(coffee, {"n": 4})
        carrying.bring(store)
        said = {record.payload["_uri"]: record.payload["n"] for record in store.scroll()}
    assert said == {canonical_uri(coffee): 4, canonical_uri(coins): 3}


def test_new_visual_words_keep_what_a_client_added(
    pictures: Path, index: Callable[..., IndexReport], tmp_path: Path, photos: Path
) -> None:
    index(pictures, orb=OrbSettings())
    with SearchClient(tmp_path / "db") as client:
        client.add(photos / "chelsea.png", {"owner": "me"})
    retrain(RetrainJob(str(tmp_path / "db")))
    with SearchClient(tmp_path / "db") as client:
        assert client.get(photos / "chelsea.png").facts["_sources"] == ["client"]
    assert index(pictures, orb=OrbSettings(), prune=True).points == 31
