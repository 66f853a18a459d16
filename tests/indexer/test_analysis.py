"""Maps, clusters and outliers of real collections: what is written, what is kept, what new pictures get."""

from __future__ import annotations

import dataclasses
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageColor
from semblant_indexer.analysis import (
    Clustering,
    cluster_collection,
    collections,
    figures,
    fit_dense_clusters,
    map_collection,
    read_run,
    rename_cluster,
    score_outliers,
    scoring,
    split_cluster,
)
from semblant_indexer.analysis.records import write_values
from semblant_search import SearchClient
from semblant_search.cli import semblant
from semblant_search.collection import point_id
from semblant_search.errors import CollectionNotFound, InvalidInput, NotIndexed, StoreLocked
from semblant_search.store import Point, open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result
    from semblant_indexer import IndexReport
    from semblant_search.store import Database, Record, Store


@pytest.fixture
def indexed(pictures: Path, index: Callable[..., IndexReport]) -> Path:
    """Thirty pictures in three folders."""
    index(pictures)
    return pictures


@pytest.fixture
def db(indexed: Path, tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(str(tmp_path / "db"))) as database:
        yield database


def test_a_map_is_written_and_the_next_one_starts_from_it(db: Database) -> None:
    first = map_collection(db)
    assert (first.run.version, first.run.pictures, first.run.settings["from_last"]) == (1, 30, False)
    with closing(db.open("images")) as store:
        payloads = {record.payload["_uri"]: record.payload for record in store.scroll()}
        assert read_run(store, "map") == first.run
    for uri, x, y in zip(first.uris, first.values["_x"], first.values["_y"], strict=True):
        assert (payloads[uri]["_x"], payloads[uri]["_y"]) == pytest.approx((x, y))
    second = map_collection(db)
    assert second.unchanged
    assert second.run == first.run
    assert second.values["_x"].tolist() == first.values["_x"].tolist()
    turned = map_collection(db, seed=1)
    assert (turned.run.version, turned.run.settings["from_last"], turned.unchanged) == (2, True, False)
    assert map_collection(db, fresh=True).values["_x"].tolist() == first.values["_x"].tolist()


def test_a_map_stays_where_it_is_when_pictures_come_and_go(
    indexed: Path, tmp_path: Path, index: Callable[..., IndexReport]
) -> None:
    files = sorted(indexed.rglob("*.png"))
    away = [path.rename(tmp_path / path.name) for path in files[:4]]
    index(indexed, prune=True)
    with closing(open_database(str(tmp_path / "db"))) as database:
        map_collection(database)
        first = places(database)
    for path, place in zip(away, files[:4], strict=True):
        path.rename(place)
    files[-1].unlink()
    index(indexed, prune=True)
    with closing(open_database(str(tmp_path / "db"))) as database:
        placed = places(database)
        found = map_collection(database)
        assert found.run.results == {"fitted": 29, "placed": 0, "held": 25, "laid_out": 26}
        second = places(database)
        assert {uri: second[uri] for uri in first if uri in second} == {uri: first[uri] for uri in first if uri in second}
        new = second.keys() - first.keys()
        assert len(new) == 4
        assert all(second[uri] != placed[uri] for uri in new)  # looked for again, among those that stay
        assert map_collection(database).unchanged


def test_a_map_of_many_new_pictures_is_laid_out_again_onto_the_last_one(
    indexed: Path, tmp_path: Path, index: Callable[..., IndexReport]
) -> None:
    files = sorted(indexed.rglob("*.png"))
    away = [path.rename(tmp_path / path.name) for path in files[::3]]
    index(indexed, prune=True, prune_limit=0.5)
    with closing(open_database(str(tmp_path / "db"))) as database:
        map_collection(database)
    for path, place in zip(away, files[::3], strict=True):
        path.rename(place)
    index(indexed)
    with closing(open_database(str(tmp_path / "db"))) as database:
        found = map_collection(database)
        assert (found.run.results["held"], found.run.results["laid_out"]) == (0, 30)
        assert found.run.settings["from_last"] is True


def test_a_map_whose_places_were_not_all_written_is_made_anew(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    first = map_collection(db)

    def fail(store: Store, ids: Any, values: Any, fields: Any) -> None:
        write_values(store, ids[:20], values, fields)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(collections, "write_values", fail)
        with pytest.raises(KeyboardInterrupt):
            map_collection(db, seed=1, fresh=True)
    again = map_collection(db)
    assert again.run.settings["from_last"] is False
    assert again.values["_x"].tolist() == first.values["_x"].tolist()


def test_places_among_a_sample_stay_too(db: Database) -> None:
    map_collection(db, fitted=20)
    first = places(db)
    assert map_collection(db, fitted=20).unchanged
    with closing(db.open("images")) as store:
        (gone, *_) = store.scroll()
        vector = np.asarray(next(store.scroll(with_image=True)).image)
        store.upsert([Point(point_id("file:///new.png"), vector, {"_uri": "file:///new.png"})])
        store.delete([gone.id])
    found = map_collection(db, fitted=20)
    assert found.run.results["held"] == 29
    second = places(db)
    assert len(second) == 30
    assert all(second[uri] == at for uri, at in first.items() if uri in second)


def test_pictures_beyond_those_that_a_map_is_fitted_to_are_placed(db: Database) -> None:
    found = map_collection(db, fitted=20)
    assert found.run.results == {"fitted": 20, "placed": 10, "held": 0, "laid_out": 30}
    assert np.isfinite(found.values["_x"]).all()


def test_clusters_have_names_representatives_and_can_be_filtered_by(db: Database, tmp_path: Path) -> None:
    found = cluster_collection(db, k=3)
    rows = found.run.results["clusters"]
    assert sum(row["pictures"] for row in rows) == 30
    assert {row["name"] for row in rows if row["name"]} <= {"bag", "coat", "sneaker"}
    named = [row for row in rows if row["name"]]  # which ones depends on the order of ids, and so on where the pictures lie
    assert named
    assert all(row["share"] >= 0.5 and row["share"] > row["elsewhere"] for row in named)
    db.close()
    with SearchClient(tmp_path / "db") as client:
        for row in rows:
            assert client.count(where=f"_cluster == {row['cluster']}") == row["pictures"]
            inside = client.pictures(where=f"_cluster == {row['cluster']}", order_by="_cluster_distance")
            first = client.get(row["representatives"][0])
            assert next(iter(inside)).facts["_cluster_distance"] == first.facts["_cluster_distance"]


def test_what_an_analysis_found_outlives_the_next_jobs(
    indexed: Path, tmp_path: Path, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]]
) -> None:
    with closing(open_database(str(tmp_path / "db"))) as database:
        map_collection(database)
        cluster_collection(database, k=3)
    before = {uri: record.payload for uri, record in records().items()}
    (indexed / "metadata.csv").write_text("file,price\nbag/" + min(path.name for path in (indexed / "bag").iterdir()) + ",5\n")
    copy = indexed / "coat" / "new.png"
    copy.write_bytes(min((indexed / "coat").glob("*.png")).read_bytes())
    assert index(indexed).indexed == 2
    after = {uri: record.payload for uri, record in records().items()}
    told = ("_x", "_y", "_cluster", "_cluster_distance")
    assert {uri: [after[uri][name] for name in told] for uri in before} == {
        uri: [payload[name] for name in told] for uri, payload in before.items()
    }
    (new,) = after.keys() - before.keys()
    (same,) = (uri for uri in before if before[uri]["_sha256"] == after[new]["_sha256"])
    assert after[new]["_cluster"] == before[same]["_cluster"]
    spread = np.ptp([payload["_x"] for payload in before.values()])
    assert abs(after[new]["_x"] - before[same]["_x"]) < spread / 2


def places(database: Database) -> dict[str, tuple[float, float]]:
    """Of all pictures, by their URIs."""
    with closing(database.open("images")) as store:
        return {one.payload["_uri"]: (one.payload["_x"], one.payload["_y"]) for one in store.scroll()}


def test_pictures_that_come_later_are_scored_beside_what_was_usual(
    indexed: Path, tmp_path: Path, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]]
) -> None:
    with closing(open_database(str(tmp_path / "db"))) as database:
        score_outliers(database)
    before = {uri: record.payload["_outlier"] for uri, record in records().items()}
    copy = indexed / "coat" / "new.png"
    with Image.open(min((indexed / "coat").glob("*.png"))) as picture:
        picture.point(lambda value: 255 - value).save(copy)
    (indexed / "coat" / "near.png").write_bytes(min((indexed / "coat").glob("*.png")).read_bytes())
    index(indexed)
    after = {uri.rpartition("/")[2]: record for uri, record in records().items()}
    assert {uri: after[uri.rpartition("/")[2]].payload["_outlier"] for uri in before} == before
    vectors = np.array([record.image for record in after.values()])
    with closing(open_database(str(tmp_path / "db"))) as database, closing(database.open("images")) as store:
        run = read_run(store, "outliers")
    assert run is not None
    for name in ("new.png", "near.png"):
        fifth = np.sort(1 - vectors @ np.asarray(after[name].image))[5]  # itself is the first
        score = (fifth - run.results["median"]) / run.results["spread"]
        assert after[name].payload["_outlier"] == pytest.approx(score, abs=0.01)
    assert after["new.png"].payload["_outlier"] > after["near.png"].payload["_outlier"]


def test_outliers_of_many_are_found_by_the_index_as_exactly(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = score_outliers(db)
    monkeypatch.setattr(scoring, "_BY_INDEX", 10)
    monkeypatch.setattr(scoring, "_ASKED_AT_ONCE", 7)
    monkeypatch.setattr(scoring, "_CHECKED", 5)
    told: list[tuple[int, int]] = []
    found = score_outliers(db, on_progress=lambda *progress: told.append(progress))
    np.testing.assert_allclose(found.values["_outlier"], exact.values["_outlier"], atol=1e-3)
    assert len(told) > 4
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (1000, 1000)


@pytest.mark.parametrize("analysis", [map_collection, cluster_collection, score_outliers])
def test_each_analysis_tells_how_far_it_is_and_can_be_interrupted(analysis: Callable[..., Any], db: Database) -> None:
    before = read_all(db)

    def interrupt(done: int, total: int) -> None:
        if done * 2 > total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analysis(db, on_progress=interrupt)
    assert read_all(db) == before


def read_all(database: Database) -> dict[str, dict[str, Any]]:
    with closing(database.open("images")) as store:
        return {one.id: one.payload for one in store.scroll()}


def test_a_map_whose_pictures_are_all_gone_is_none(
    indexed: Path, tmp_path: Path, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]]
) -> None:
    with closing(open_database(str(tmp_path / "db"))) as database:
        map_collection(database)
        with closing(database.open("images")) as store:
            store.delete([record.id for record in store.scroll()])
    index(indexed)
    assert all("_x" not in record.payload for record in records().values())
    with closing(open_database(str(tmp_path / "db"))) as database:
        with closing(database.open("images")) as store:
            assert read_run(store, "map") is None
        assert map_collection(database).run.settings["from_last"] is False


def test_outliers_are_listed_farthest_first(db: Database) -> None:
    found = score_outliers(db)
    scores = [each["score"] for each in found.run.results["farthest"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 30


@pytest.mark.parametrize("analysis", [map_collection, cluster_collection, score_outliers])
def test_what_cannot_be_analysed_says_so(analysis: Callable[..., Any], db: Database) -> None:
    with pytest.raises(CollectionNotFound):
        analysis(db, "others")
    with closing(db.open("images")) as store:
        store.delete([record.id for record in store.scroll()])
    with pytest.raises(NotIndexed, match="is empty"):
        analysis(db)


def test_more_clusters_than_pictures_change_nothing(db: Database) -> None:
    cluster_collection(db, k=2)
    with pytest.raises(InvalidInput, match="k 31"):
        cluster_collection(db, k=31)
    with closing(db.open("images")) as store:
        assert {record.payload["_cluster"] for record in store.scroll()} == {0, 1}
        run = read_run(store, "clusters")
        assert run is not None
        assert run.version == 1


def test_an_interrupted_analysis_leaves_the_last_one(db: Database) -> None:
    first = map_collection(db)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_collection(db, seed=1, fresh=True, on_progress=interrupt)
    with closing(db.open("images")) as store:
        assert read_run(store, "map") == first.run


def test_hdbscan_finds_dense_places_of_the_map_and_leaves_out_what_lies_alone(db: Database) -> None:
    with pytest.raises(NotIndexed, match="semblant map"):
        cluster_collection(db, method="hdbscan")
    map_collection(db)
    with pytest.raises(InvalidInput, match="k 3"):
        cluster_collection(db, k=3, method="hdbscan")
    found = cluster_collection(db, method="hdbscan")
    labels = found.values["_cluster"]
    sizes = [row["pictures"] for row in found.run.results["clusters"]]
    assert sizes == [int((labels == number).sum()) for number in range(len(sizes))]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 5
    assert labels.min() >= -1
    assert found.run.settings["method"] == "hdbscan"
    assert found.run.results["in_none"] == int((labels < 0).sum())


def test_a_rebuilt_generation_keeps_the_map_and_the_clusters(
    indexed: Path, tmp_path: Path, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]]
) -> None:
    with closing(open_database(str(tmp_path / "db"))) as database:
        map_collection(database)
        cluster_collection(database, k=3)
        score_outliers(database)
    before = {uri: record.payload for uri, record in records().items()}
    gone = min((indexed / "coat").glob("*.png"))
    gone.rename(indexed / "coat" / "another.png")
    assert index(indexed, rebuild=True).generation == "g0002"
    after = {uri: record.payload for uri, record in records().items()}
    told = ("_x", "_y", "_cluster", "_cluster_distance", "_outlier")
    (new,) = after.keys() - before.keys()
    assert {uri: [after[uri][name] for name in told] for uri in after if uri != new} == {
        uri: [before[uri][name] for name in told] for uri in after if uri != new
    }
    assert {"_x", "_y", "_cluster"} <= after[new].keys()  # as a new one, among its neighbours
    with closing(open_database(str(tmp_path / "db"))) as database, closing(database.open("images")) as store:
        for kind in ("map", "clusters", "outliers"):
            assert read_run(store, kind) is not None


@pytest.mark.parametrize("scored", ["some", "none"])
def test_a_picture_that_came_after_an_analysis_keeps_what_the_others_found(
    scored: str, indexed: Path, tmp_path: Path, index: Callable[..., IndexReport], records: Callable[..., dict[str, Record]]
) -> None:
    """A rebuild takes each analysis over by itself."""
    late = sorted((indexed / "coat").glob("*.png"))[:2]
    away = [path.rename(tmp_path / path.name) for path in late]
    index(indexed, prune=True)
    with closing(open_database(str(tmp_path / "db"))) as database:
        score_outliers(database)
        for path, place in zip(away, late, strict=True):
            path.rename(place)
    index(indexed)
    with closing(open_database(str(tmp_path / "db"))) as database, closing(database.open("images")) as store:
        names = {path.name for path in late}
        without = [one for one in store.scroll() if scored == "none" or one.payload["_uri"].rpartition("/")[2] in names]
        store.set_payloads(
            {one.id: {name: value for name, value in one.payload.items() if name != "_outlier"} for one in without}
        )
    with closing(open_database(str(tmp_path / "db"))) as database:
        map_collection(database)
        cluster_collection(database, k=3)
    before = {uri: record.payload for uri, record in records().items()}
    having = {uri for uri, payload in before.items() if "_outlier" in payload}
    assert len(having) == (len(before) - 2 if scored == "some" else 0)
    assert index(indexed, rebuild=True).generation == "g0002"
    after = {uri: record.payload for uri, record in records().items()}
    for name in ("_x", "_y", "_cluster", "_cluster_distance"):
        assert {uri: payload.get(name) for uri, payload in after.items()} == {
            uri: payload.get(name) for uri, payload in before.items()
        }
    assert {uri: after[uri]["_outlier"] for uri in having} == {uri: before[uri]["_outlier"] for uri in having}
    assert {uri for uri, payload in after.items() if "_outlier" in payload} == (after.keys() if scored == "some" else set())


def test_names_of_peoples_own_go_with_the_pictures_they_were_given_to(db: Database) -> None:
    first = cluster_collection(db, k=3)
    sizes = [row["pictures"] for row in first.run.results["clusters"]]
    rename_cluster(db, "images", 0, "mine")
    rename_cluster(db, "images", 2, "yours")
    again = cluster_collection(db, k=3)
    rows = again.run.results["clusters"]
    assert [row["pictures"] for row in rows] == sizes
    assert [(row["name"], row.get("own", False)) for row in rows][::2] == [("mine", True), ("yours", True)]
    assert not rows[1].get("own")
    assert again.run.results["names_lost"] == []
    one = cluster_collection(db, k=1)  # of two names, that of the larger cluster
    assert [row["name"] for row in one.run.results["clusters"]] == ["mine"]
    assert one.run.results["names_lost"] == ["yours"]
    many = cluster_collection(db, k=12)
    assert max(row["pictures"] for row in many.run.results["clusters"]) <= 15
    assert many.run.results["names_lost"] == ["mine"]


def test_a_name_that_is_taken_away_gives_room_to_that_of_the_values_and_the_largest_part_keeps_it(db: Database) -> None:
    said = cluster_collection(db, k=3).run.results["clusters"]
    for taken in ("", None):
        assert rename_cluster(db, "images", 1, "mine").results["clusters"][1]["name"] == "mine"
        assert rename_cluster(db, "images", 1, taken).results["clusters"] == said
    rename_cluster(db, "images", 0, "mine")
    rows = split_cluster(db, "images", 0).results["clusters"]
    assert [row["name"] == "mine" for row in rows] == [True, False, False, False]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_none_is_said(seed: int, db: Database, tmp_path: Path) -> None:
    for analyse in (map_collection, cluster_collection):
        with pytest.raises(InvalidInput, match=f"seed {seed}: expected 0 to 4294967295"):
            analyse(db, seed=seed)
    for word in ("map", "cluster"):
        told = CliRunner().invoke(semblant, [word, "--db", str(tmp_path / "none"), "--seed", str(seed)])
        assert told.exit_code == 2
        assert "0<=x<=4294967295" in told.output


def test_a_map_is_placed_among_some(db: Database) -> None:
    with pytest.raises(InvalidInput, match="fitted 0: expected at least 3"):
        map_collection(db, fitted=0)


def test_one_writes_at_a_time(db: Database) -> None:
    with db.claim("images"), pytest.raises(StoreLocked):
        cluster_collection(db, k=2)


def invoke(*words: str) -> Result:
    return CliRunner().invoke(semblant, list(words), catch_exceptions=False)


def test_the_commands_draw_and_print(indexed: Path, tmp_path: Path) -> None:
    place = str(tmp_path / "db")
    clusters = invoke("cluster", "--db", place, "-k", "3", "--out", str(tmp_path / "drawn"), "--quiet")
    assert clusters.exit_code == 0, clusters.output
    assert len(clusters.stdout.splitlines()) == 4
    assert any(label in clusters.output for label in ("bag", "coat", "sneaker"))
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"clusters.png", "silhouettes.png"}
    mapped = invoke("map", "--db", place, "--out", str(tmp_path / "map.png"), "--quiet", "--json")
    assert json.loads(mapped.stdout)["pictures"] == 30
    with Image.open(tmp_path / "map.png") as drawn:
        assert max(drawn.size) == 1600
        assert len(drawn.convert("RGB").getcolors(1 << 24) or ()) > 50  # pictures, and not points alone
    far = invoke("outliers", "--db", place, "--count", "3", "--out", str(tmp_path / "far.png"))
    assert far.exit_code == 0, far.output
    assert far.stdout.count("file://") == 3
    assert "map 1 of 30 pictures stays" in invoke("map", "--db", place, "--quiet").stdout
    missing = invoke("map", "--db", place, "--collection", "others")
    assert missing.exit_code == 1
    assert "others" in missing.stderr


def test_pictures_in_no_cluster_are_listed_and_grey(indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(tmp_path / "db")
    invoke("map", "--db", place, "--quiet")

    def some_alone(positions: np.ndarray, vectors: np.ndarray) -> Clustering:
        found = fit_dense_clusters(positions, vectors)
        return dataclasses.replace(found, labels=np.where(np.arange(len(vectors)) < 4, -1, 0).astype(np.int32))

    monkeypatch.setattr(collections, "fit_dense_clusters", some_alone)
    told = invoke("cluster", "--db", place, "--method", "hdbscan", "--quiet")
    assert told.stdout.splitlines()[-1].split("\t")[:3] == ["-1", "4", "(in no cluster)"]
    invoke("map", "--db", place, "--quiet", "--out", str(tmp_path / "map.png"))
    with Image.open(tmp_path / "map.png") as drawn:
        seen = {colour for _, colour in drawn.convert("RGB").getcolors(1 << 24) or ()}
    assert {ImageColor.getrgb(figures.NONE), ImageColor.getrgb(figures.colour_of(0))} <= seen
    assert figures.colour_of(-1) not in {figures.colour_of(cluster) for cluster in range(30)}


def test_an_elbow_of_an_earlier_run_does_not_stay(indexed: Path, tmp_path: Path) -> None:
    place, drawn = str(tmp_path / "db"), tmp_path / "drawn"
    invoke("cluster", "--db", place, "--out", str(drawn), "--quiet")
    assert (drawn / "elbow.png").exists()
    invoke("cluster", "--db", place, "-k", "3", "--out", str(drawn), "--quiet")
    assert {path.name for path in drawn.iterdir()} == {"clusters.png", "silhouettes.png"}


@pytest.mark.parametrize(
    ("word", "out"), [("map", "none/map.png"), ("map", "map.text"), ("outliers", "none/o.png"), ("cluster", "file/drawn")]
)
def test_a_place_that_cannot_be_drawn_to_is_said_before_anything_is_made(
    word: str, out: str, indexed: Path, tmp_path: Path, db: Database
) -> None:
    (tmp_path / "file").write_text("a file")
    before = read_all(db)
    db.close()
    told = invoke(word, "--db", str(tmp_path / "db"), "--out", str(tmp_path / out), "--quiet")
    assert told.exit_code == 2
    assert "cannot be" in told.stderr
    with closing(open_database(str(tmp_path / "db"))) as database:
        assert read_all(database) == before


def test_an_analysis_waits_for_another_job(db: Database, tmp_path: Path) -> None:
    with db.claim("images"):
        told = invoke("outliers", "--db", str(tmp_path / "db"), "--quiet", "--wait", "0.1")
        assert "another job at work" in told.stderr
        assert "`outliers` wait for that with --wait" in told.stderr
    assert invoke("outliers", "--db", str(tmp_path / "db"), "--quiet", "--wait", "60").exit_code == 0
