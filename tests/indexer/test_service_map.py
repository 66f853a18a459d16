"""The map and the clusters over HTTP: columns, colours, masks, and what people change about clusters."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_indexer.analysis import cluster_collection, map_collection, read_run
from semblant_indexer.analysis.thinning import LEVELS, spacing, thinning_levels
from semblant_search import SearchClient
from semblant_search.querying.clusters import read_centres
from semblant_search.store import open_database
from semblant_search.web import KeyFile
from support.service import Served, bearer, problem, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport
    from semblant_search.store import Database

    Index = Callable[..., IndexReport]


@pytest.fixture
def database(pictures: Path, index: Index, tmp_path: Path) -> Iterator[Database]:
    """Thirty pictures in three folders, each of which is a label, on a map and in three clusters."""
    rows = [f"{path.relative_to(pictures)},{path.parent.name}" for path in sorted(pictures.rglob("*.png"))]
    (pictures / "metadata.csv").write_text("\n".join(["file,label", *rows]))
    index(pictures)
    with closing(open_database(tmp_path / "db")) as database:
        map_collection(database)
        cluster_collection(database, k=3)
        yield database


@pytest.fixture
def served(database: Database) -> Iterator[Served]:
    with serving(database) as served:
        yield served


def read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A binary answer as the page reads it."""
    length = int.from_bytes(data[:4], "little")
    head = json.loads(data[4 : 4 + length])
    at, columns = 4 + length, {}
    for one in head["columns"]:
        at += -at % 4
        columns[one["name"]] = np.frombuffer(data, one["type"], one["length"], at)
        at += columns[one["name"]].nbytes
    assert at == len(data)
    return head, columns


def test_points_lie_where_the_map_says_and_are_sent_once(served: Served) -> None:
    response = served.http.get("/v1/map/points")
    head, columns = read(response.content)
    assert head["points"] == 30
    assert (np.diff(columns["level"].astype(int)) >= 0).all()
    version = head["version"]
    told = served.http.post("/v1/map/pictures", json={"version": version, "rows": list(range(30))}).json()["pictures"]
    with closing(served.database.open("images")) as store:
        stored = {record.id: record.payload for record in store.scroll()}
    for row, picture in enumerate(told):
        x = head["left"] + columns["x"][row] / 65_535 * head["extent"]
        y = head["top"] - columns["y"][row] / 65_535 * head["extent"]
        assert (x, y) == pytest.approx((stored[picture["id"]]["_x"], stored[picture["id"]]["_y"]), abs=head["extent"] / 60_000)
    again = served.http.get("/v1/map/points", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    ids = [picture["id"] for picture in told]
    assert served.http.post("/v1/map/rows", json={"version": version, "ids": ids}).json()["rows"] == list(range(30))
    strange = ["é", "", ids[0] + "XYZ", ids[0].upper(), "\0" * 36]
    assert served.http.post("/v1/map/rows", json={"version": version, "ids": strange}).json()["rows"] == [-1] * len(strange)
    with SearchClient(served.database) as client:
        client.delete([ids[0]])
    changed = read(served.http.get("/v1/map/points").content)[0]
    assert (changed["points"], changed["version"] == version) == (29, False)
    problem(served.http.post("/v1/map/rows", json={"version": version, "ids": ids}), 409, "map-changed")


def test_colours_have_a_legend_and_masks_a_bit_for_each_row(served: Served) -> None:
    version = read(served.http.get("/v1/map/points").content)[0]["version"]
    head, columns = read(served.http.get("/v1/map/colours", params={"version": version, "field": "label"}).content)
    assert {one["label"]: one["count"] for one in head["legend"]} == {"bag": 10, "coat": 10, "sneaker": 10}
    assert all(0 <= one["x"] <= 1 and 0 <= one["y"] <= 1 for one in head["legend"])
    for place, one in enumerate(head["legend"]):
        mask = served.http.get("/v1/map/mask", params={"version": version, "where": f'label == "{one["value"]}"'}).content
        bits = np.unpackbits(np.frombuffer(mask, np.uint8), count=30, bitorder="little")
        assert (bits == (columns["colour"] == place)).all()
    head, columns = read(served.http.get("/v1/map/colours", params={"version": version, "field": "_x"}).content)
    assert (head["kind"], columns["colour"].min(), columns["colour"].max()) == ("ramp", 0, 63)
    head, _ = read(served.http.get("/v1/map/colours", params={"version": version, "field": "_cluster"}).content)
    assert [one["value"] for one in head["legend"]] == [0, 1, 2]
    problem(served.http.get("/v1/map/colours", params={"version": version, "field": "no"}), 422, "invalid-input")


def test_a_key_for_some_pictures_sees_a_map_of_these(database: Database, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    some = keys.create("some", "search", where='label == "bag"')[0]
    with serving(database, keys=keys) as served:
        head, _ = read(served.http.get("/v1/map/points", headers=bearer(some)).content)
        assert head["points"] == 10
        asked = {"version": head["version"], "field": "label"}
        legend = read(served.http.get("/v1/map/colours", params=asked, headers=bearer(some)).content)[0]["legend"]
        assert [(one["label"], one["count"]) for one in legend] == [("bag", 10)]
        problem(served.http.get("/v1/clusters", headers=bearer(some)), 403, "scope-missing")
        problem(served.http.post("/v1/map/make", json={"kind": "map"}, headers=bearer(some)), 403, "scope-missing")


def test_without_a_map_it_is_said_how_to_make_one_and_it_is_made(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures / "bag")
    with closing(open_database(tmp_path / "db")) as database, serving(database) as served:
        assert served.http.get("/v1/map").json()["map_version"] is None
        assert "semblant map" in problem(served.http.get("/v1/map/points"), 409, "not-indexed")["detail"]
        assert "semblant cluster" in problem(served.http.get("/v1/clusters"), 409, "not-indexed")["detail"]
        for kind, name in (("map", "map_version"), ("clusters", "clusters_version")):
            assert served.http.post("/v1/map/make", json={"kind": kind, "k": 2}).status_code == 202
            until = time.monotonic() + 60
            while (told := served.http.get("/v1/map").json())["making"] is not None:
                assert told["making"]["problem"] is None
                assert time.monotonic() < until
                time.sleep(0.05)
            assert told[name] == 1
        assert served.http.post("/v1/map/make", json={"kind": "clusters", "k": 99}).status_code == 202
        while (told := served.http.get("/v1/map").json())["making"]["problem"] is None:
            time.sleep(0.05)
        assert "k 99" in told["making"]["problem"]


def test_clusters_are_named_merged_and_split(served: Served) -> None:
    http = served.http
    first = http.get("/v1/clusters").json()
    assert [one["cluster"] for one in first["clusters"]] == [0, 1, 2]
    assert all(len(one["representatives"]) == min(8, one["pictures"]) for one in first["clusters"])
    assert {value["field"] for one in first["clusters"] for value in one["values"]} == {"label"}
    named = http.patch("/v1/clusters/2", json={"name": " mine "}).json()
    assert (named["version"], named["clusters"][2]["name"], named["clusters"][2]["named_by"]) == (2, "mine", "person")
    sizes = [one["pictures"] for one in named["clusters"]]
    merged = http.post("/v1/clusters/merge", json={"clusters": [0, 1]}).json()["clusters"]
    # The last one took the number that became free, and kept the name that a person gave it.
    assert [one["pictures"] for one in merged] == [sizes[0] + sizes[1], sizes[2]]
    assert merged[1]["name"] == "mine"
    with closing(served.database.open("images")) as store:
        centres = read_centres(store)
        assert centres is not None
        records = list(store.scroll(with_image=True))
        labels, _ = centres.assign(np.array([record.image for record in records], np.float32))
        # New pictures would come into the same clusters.
        assert labels.tolist() == [record.payload["_cluster"] for record in records]
    split = http.post("/v1/clusters/split", json={"cluster": 0, "into": 2}).json()["clusters"]
    assert len(split) == 3
    assert split[0]["pictures"] + split[2]["pictures"] == merged[0]["pictures"]
    assert split[0]["pictures"] >= split[2]["pictures"] > 0
    with SearchClient(served.database) as client:
        assert client.facet("_cluster") == {one["cluster"]: one["pictures"] for one in split}
    for path, query in (("merge", {"clusters": [0, 7]}), ("merge", {"clusters": [1, 1]}), ("split", {"cluster": 9})):
        problem(http.post(f"/v1/clusters/{path}", json=query), 422, "invalid-input")
    problem(http.patch("/v1/clusters/3", json={"name": "x"}), 422, "invalid-input")
    with closing(served.database.open("images")) as store:
        run = read_run(store, "clusters")
        assert run is not None
        assert (run.version, run.results["k"]) == (4, 3)


def test_a_change_while_a_job_is_at_work_is_told_of_the_job(database: Database, served: Served) -> None:
    with database.claim("images"):
        told = problem(served.http.post("/v1/clusters/merge", json={"clusters": [0, 1]}), 409, "job-running")
    assert "another job at work" in told["detail"]
    assert told["detail"].endswith("; ask again when it is done")
    served.http.post("/v1/clusters/merge", json={"clusters": [0, 1]}).raise_for_status()


def test_pictures_in_no_cluster_are_counted(database: Database) -> None:
    with closing(database.open("images")) as store:
        records = list(store.scroll())
        store.set_payloads({one.id: {**one.payload, "_cluster": -1} for one in records[:4]})
    with serving(database) as served:
        told = served.http.get("/v1/clusters").json()
        assert told["in_none"] == 4
        assert sum(one["pictures"] for one in told["clusters"]) == 26
        version = read(served.http.get("/v1/map/points").content)[0]["version"]
        head, _ = read(served.http.get("/v1/map/colours", params={"version": version, "field": "_cluster"}).content)
        assert (head["legend"][0]["label"], head["legend"][0]["count"]) == ("in no cluster", 4)


def test_changes_of_clusters_need_the_scope_to_write(database: Database, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    reads, writes = keys.create("reads", "search")[0], keys.create("writes", "write")[0]
    with serving(database, keys=keys) as served:
        assert len(served.http.get("/v1/clusters", headers=bearer(reads)).json()["clusters"]) == 3
        problem(served.http.patch("/v1/clusters/0", json={"name": "x"}, headers=bearer(reads)), 403, "scope-missing")
        assert served.http.patch("/v1/clusters/0", json={"name": "x"}, headers=bearer(writes)).status_code == 200


@pytest.mark.parametrize("count", [0, 1, 40, 3000])
def test_pictures_of_a_level_never_overlap_and_none_is_left_out_that_fits(count: int) -> None:
    generator = np.random.default_rng(0)
    clumps = [generator.normal(middle, 0.03, (count, 2)) for middle in (0.3, 0.5, 0.8)]
    points = np.concatenate(clumps).clip(0, 1)
    points[: count // 10] = 0.5  # the same place many times
    levels = thinning_levels(points)
    assert levels.shape == (3 * count,)
    for level in (2, 6, 10, 14):
        shown = points[levels <= level].astype(np.float32)
        away = np.abs(shown[:, None] - shown[None]).max(axis=2)
        np.fill_diagonal(away, 9)
        assert (away >= spacing(level)).all()
        others = points[levels > level].astype(np.float32)
        if count == 40:  # few enough to have all been tried
            assert all(np.abs(shown - one).max(axis=1).min() < spacing(level) for one in others)
    assert levels.max(initial=0) < LEVELS


def test_a_misspelt_parameter_is_refused(served: Served) -> None:
    for path in ("/v1/map", "/v1/map/points", "/v1/clusters", "/v1/jobs"):
        told = problem(served.http.get(path, params={"colection": "images"}), 422, "invalid-request")
        assert told["pointer"] == "#query/colection"
