"""Jobs inside a service, asked for over HTTP: searched meanwhile, told as they go, cancelled, refused."""

from __future__ import annotations

import json
import shutil
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from semblant_search import SearchClient
from semblant_search.store import open_database
from semblant_search.web import KeyFile, ServiceSettings, create_app
from semblant_search.web.access import SCOPES
from support.servers import database_of, own_name, stand_in
from support.service import Served, bearer, listening, problem, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_indexer import IndexReport

    Index = Callable[..., IndexReport]


@pytest.fixture
def served(pictures: Path, index: Index, tmp_path: Path) -> Iterator[Served]:
    """A service of a directory of ten bags, whose jobs may read the pictures."""
    index(pictures / "bag")
    with (
        closing(open_database(tmp_path / "db")) as database,
        serving(database, ServiceSettings(job_roots=(pictures,))) as served,
    ):
        yield served


def finished(http: Any, id: str) -> dict[str, Any]:
    """The job once it has ended."""
    until = time.monotonic() + 120
    while (job := http.get(f"/v1/jobs/{id}").json())["ended_at"] is None:
        assert time.monotonic() < until, job
        time.sleep(0.05)
    return dict(job)


def events(lines: Iterator[str]) -> Iterator[tuple[str, int, Any]]:
    """The events of a stream: name, number, data."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif fields:
            if "event" in fields:
                yield fields["event"], int(fields["id"]), json.loads(fields["data"])
            fields = {}


def test_a_job_is_told_as_it_goes_and_searched_meanwhile(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures / "bag")
    (pictures / "coat" / "bad.png").write_text("no picture")
    query, sizes = next(iter((pictures / "bag").iterdir())), set[int]()
    asked, done = threading.Event(), threading.Event()

    def ask(address: str) -> None:
        with SearchClient(address) as client:
            while not done.is_set():
                sizes.add(len(client.search(query, limit=100)))
                asked.set()

    with (
        closing(open_database(tmp_path / "db")) as database,
        SearchClient(database) as client,
        listening(create_app(database, settings=ServiceSettings(job_roots=(pictures,)), client=client)) as address,
        httpx.Client(base_url=address.replace("semblant", "http")) as http,
    ):
        while http.get("/readyz").status_code != 200:
            time.sleep(0.01)
        asking = threading.Thread(target=ask, args=(address,))
        asking.start()
        assert asked.wait(60)
        response = http.post("/v1/jobs", json={"source": str(pictures)})
        job = response.json()
        assert (response.status_code, response.headers["location"]) == (202, f"/v1/jobs/{job['id']}")
        assert (job["state"], job["kind"], job["source"], job["collection"]) == ("running", "index", str(pictures), "images")
        with http.stream("GET", f"/v1/jobs/{job['id']}/events", timeout=120) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            told = list(events(stream.iter_lines()))
        done.set()
        asking.join()
        assert [told[0][0], told[-1][0]] == ["job", "end"]
        numbers = [number for _, number, _ in told[1:]]
        assert numbers == sorted(set(numbers))
        ended = told[-1][2]
        assert ended == http.get(f"/v1/jobs/{job['id']}").json()
        assert (ended["state"], ended["runs"], ended["problem"]) == ("done", 1, None)
        assert ended["report"]["account"] == "found 31 = 30 indexed + 0 unchanged + 0 duplicate + 1 failed + 0 skipped"
        assert (ended["report"]["points"], http.get("/v1/count").json()["count"]) == (30, 30)
        failures = [data for name, _, data in told if name == "failure"]
        assert [(one["uri"][-12:], one["reason"]) for one in failures] == [("coat/bad.png", "not-an-image")]
        assert ended["failures"] == failures
        listed = http.get("/v1/jobs").json()
        assert ([one["id"] for one in listed["jobs"]], listed["roots"]) == ([job["id"]], [str(pictures)])
        assert min(sizes) == 9
        # heard to the end, there is no more; from the middle, the rest; from what never was, the job and its end
        path = f"/v1/jobs/{job['id']}/events"
        assert http.get(path, headers={"Last-Event-ID": str(ended["last_event"])}).status_code == 204
        rest = events(iter(http.get(path, headers={"Last-Event-ID": str(numbers[-3])}).text.split("\n")))
        assert list(rest) == told[-2:]
        anew = list(events(iter(http.get(path, headers={"Last-Event-ID": "999999"}).text.split("\n"))))
        assert [name for name, _, _ in anew] == ["job", "end"]


def test_one_job_at_a_time_and_a_cancelled_one_goes_on_from_there(served: Served, pictures: Path, fashion_small: Path) -> None:
    shutil.copytree(fashion_small / "train", pictures / "many")
    http = served.http
    first = http.post("/v1/jobs", json={"source": "many"}).json()
    told = problem(http.post("/v1/jobs", json={"source": "coat"}), 409, "job-running")
    assert first["id"] in told["detail"]
    assert http.post(f"/v1/jobs/{first['id']}/cancel").json()["state"] == "cancelling"
    ended = finished(http, first["id"])
    assert (ended["state"], ended["report"], ended["problem"]) == ("cancelled", None, None)
    assert http.post(f"/v1/jobs/{first['id']}/cancel").json() == ended
    again = finished(http, http.post("/v1/jobs", json={"source": "many"}).json()["id"])
    assert (again["state"], again["report"]["points"]) == ("done", 610)


def test_a_service_that_ends_ends_its_jobs(pictures: Path, index: Index, tmp_path: Path, fashion_small: Path) -> None:
    index(pictures / "bag")
    shutil.copytree(fashion_small / "train", pictures / "many")
    with closing(open_database(tmp_path / "db")) as database:
        with serving(database, ServiceSettings(job_roots=(pictures,))) as served:
            assert served.http.post("/v1/jobs", json={"source": "many"}).status_code == 202
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("semblant-job")] == []
    report = index(pictures / "many")  # nobody has the database, and nothing is lost
    assert (report.found, report.points) == (600, 610)


def test_a_watched_folder_is_indexed_as_it_changes(served: Served, pictures: Path) -> None:
    http, job = served.http, served.http.post("/v1/jobs", json={"source": "coat", "kind": "watch"}).json()

    def until(what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + 120
        while not what(now := http.get(f"/v1/jobs/{job['id']}").json()):
            assert time.monotonic() < end, now
            time.sleep(0.05)
        return dict(now)

    assert until(lambda now: now["progress"]["phase"] == "waiting")["report"]["points"] == 20
    problem(http.post("/v1/jobs", json={"source": "coat"}), 409, "job-running")  # it is watched
    head = http.head(f"/v1/jobs/{job['id']}/events")  # which does not wait for the end of the stream
    assert (head.status_code, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    bags = finished(http, http.post("/v1/jobs", json={"source": "sneaker"}).json()["id"])
    assert (bags["state"], bags["report"]["points"]) == ("done", 30)
    (pictures / "coat" / "bad.png").write_text("no picture")
    shutil.copyfile(next(iter((pictures / "bag").iterdir())), pictures / "coat" / "new.png")
    now = until(lambda now: now["runs"] > 1 and now["progress"]["phase"] == "waiting")
    assert (now["report"]["points"], [one["reason"] for one in now["failures"]]) == (31, ["not-an-image"])
    (pictures / "coat").rename(pictures / "away")
    now = until(lambda now: now["problem"] is not None)
    assert (now["state"], now["progress"]["phase"], "is away" in now["problem"]["detail"]) == ("running", "waiting", True)
    shutil.copytree(pictures / "away", pictures / "coat")  # another folder
    now = until(lambda now: now["runs"] > 2 and now["progress"]["phase"] == "waiting")
    assert (now["report"]["points"], now["report"]["failed"], now["problem"]) == (31, 1, None)
    shutil.copyfile(next(iter((pictures / "bag").iterdir())), pictures / "coat" / "newer.png")
    assert until(lambda now: now["runs"] > 3 and now["progress"]["phase"] == "waiting")["report"]["points"] == 32
    http.post(f"/v1/jobs/{job['id']}/cancel")
    assert finished(http, job["id"])["state"] == "cancelled"


def test_only_what_lies_below_the_allowed_folders_is_read(served: Served, pictures: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    shutil.copytree(pictures / "coat", secret)
    (pictures / "link").symlink_to(secret)
    refusals = set()
    for source in (
        str(secret),
        "link",
        "../secret",
        "coat/../../secret",
        f"file://{secret}",
        "/etc",
        "nothing",
        "bag\0",
        "s3://b/c",
    ):
        told = problem(served.http.post("/v1/jobs", json={"source": source}), 403, "source-refused")
        assert told["pointer"] == "/source"
        refusals.add(told["detail"].partition(": there is nothing of that name below ")[2])
    assert refusals == {f"the folders that jobs may read: {pictures}"}
    told = problem(served.http.post("/v1/jobs", json={"source": "bag", "encoder": str(secret)}), 403, "source-refused")
    assert told["pointer"] == "/encoder"
    inside, missing = next(iter((pictures / "coat").iterdir())), secret / "missing.png"
    (pictures / "coat" / "leak.png").symlink_to(secret / inside.name)
    lines = [inside, secret / inside.name, missing, "http://127.0.0.1:1/a.png", f"{pictures.as_uri()}/a%00b.png"]
    (pictures / "list.csv").write_text("\n".join(["file", *map(str, lines)]))
    for source, indexed, skipped in (("coat", 10, 1), ("list.csv", 1, 4)):
        job = finished(served.http, served.http.post("/v1/jobs", json={"source": source}).json()["id"])
        report = job["report"]
        assert (report["indexed"] + report["unchanged"], report["failed"], report["skipped"]) == (indexed, 0, skipped), job
    assert all(str(secret) not in picture.uri for picture in served.client.pictures())


def test_a_job_takes_all_pictures_of_a_file_and_what_lies_hidden(served: Served, pictures: Path) -> None:
    (folder := pictures / "scans" / ".raw").mkdir(parents=True)
    pages = [Image.effect_mandelbrot((96, 72), (-2, -1, 1, 1), quality).convert("RGB") for quality in (30, 60, 90)]
    pages[0].save(folder / "a.tif", save_all=True, append_images=pages[1:])
    (pictures / "scans" / "metadata.csv").write_text("scan,n\n.raw/a.tif,7\n")
    http = served.http
    for frames, found in (("first", 1), (2, 2), ("all", 3)):
        asked = {"source": "scans", "hidden": True, "frames": frames, "file_column": "scan", "include_system": True}
        job = finished(http, http.post("/v1/jobs", json=asked).json()["id"])
        assert job["report"]["found"] == found, job
    with closing(SearchClient(served.database)) as client:
        assert [each.metadata["label"] for each in client.pictures(where="n == 7")] == [".raw"] * 3
    for wrong in ("some", 0, True, 100_001):
        assert http.post("/v1/jobs", json={"source": "scans", "frames": wrong}).status_code == 422


def test_what_cannot_be_asked(served: Served) -> None:
    http = served.http
    for body, pointer in (({}, "/source"), ({"source": ""}, "/source"), ({"source": "bag", "db": "/tmp/x"}, "/db")):
        assert problem(http.post("/v1/jobs", json=body), 422, "invalid-request")["pointer"] == pointer
    problem(http.post("/v1/jobs", json={"source": "bag", "kind": "rebuild"}), 422, "invalid-request")
    problem(http.post("/v1/jobs", json={"source": "bag", "collection": "../x"}), 422, "invalid-input")
    for path in ("", "/events"):
        problem(http.get(f"/v1/jobs/none{path}"), 404, "job-not-found")
    problem(http.post("/v1/jobs/none/cancel"), 404, "job-not-found")
    job = finished(http, http.post("/v1/jobs", json={"source": "bag", "collection": "new"}).json()["id"])
    assert (job["state"], job["problem"]["code"]) == ("failed", "encoder-unavailable")
    job = finished(http, http.post("/v1/jobs", json={"source": "bag", "include": ["*.tif"]}).json()["id"])
    assert (job["state"], job["problem"]["code"]) == ("failed", "invalid-input")
    assert "holds no pictures" in job["problem"]["detail"]


def test_jobs_are_for_keys_of_the_scope_admin_and_where_they_are_offered(pictures: Path, index: Index, tmp_path: Path) -> None:
    index(pictures / "bag")
    keys = KeyFile(tmp_path / "keys.json")
    held = {scope: keys.create(scope, scope)[0] for scope in SCOPES}
    with closing(open_database(tmp_path / "db")) as database:
        with serving(database, ServiceSettings(job_roots=(pictures,)), keys=keys) as served:
            http, calls = served.http, [("POST", ""), ("GET", ""), ("GET", "/x"), ("POST", "/x/cancel"), ("GET", "/x/events")]
            for method, path in calls:
                problem(http.request(method, f"/v1/jobs{path}"), 401, "key-required")
                for scope in ("search", "write"):
                    told = http.request(
                        method,
                        f"/v1/jobs{path}",
                        json={"source": "bag"} if method == "POST" else None,
                        headers=bearer(held[scope]),
                    )
                    problem(told, 403, "scope-missing")
            assert http.get("/v1/jobs", headers=bearer(held["admin"])).json() == {"jobs": [], "roots": [str(pictures)]}
        with serving(database) as served:
            assert "--jobs-root" in problem(served.http.post("/v1/jobs", json={"source": "/etc"}), 403, "not-offered")["detail"]
        with serving(database, ServiceSettings(job_roots=(pictures,), read_only=True)) as served:
            problem(served.http.post("/v1/jobs", json={"source": "bag"}), 403, "not-offered")


def test_a_job_of_a_service_writes_to_a_server(pictures: Path, index: Index, tmp_path: Path) -> None:
    url = stand_in().url
    with own_name(url) as name, database_of(url) as database:
        index(pictures / "bag", db=url, collection=name, state=tmp_path / "state")
        with SearchClient(database, collection=name) as client:
            settings = ServiceSettings(job_roots=(pictures,))
            with TestClient(create_app(database, settings=settings, client=client), base_url="http://localhost") as http:
                job = finished(http, http.post("/v1/jobs", json={"source": "coat", "collection": name}).json()["id"])
                assert (job["state"], job["report"]["points"]) == ("done", 20), job
                assert client.count() == 20
