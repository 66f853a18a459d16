"""Thumbnails and files over HTTP: upright, flattened to what a browser shows, cached for good, and given out where allowed."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import canonical_uri, point_id
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings
from support.service import problem, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.service import Served

ABSENT = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`wide.png` of 600 × 200, `turned.jpg` whose left half is red once it is upright, `glass.png`, `small.png`, `été.png`."""
    folder = tmp_path_factory.mktemp("allowed")
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 255, (200, 600, 3), np.uint8)).save(folder / "wide.png")
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[:, :60, 0] = 255
    turned = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    glass = np.zeros((100, 100, 4), np.uint8)
    glass[:50] = (0, 200, 0, 255)
    Image.fromarray(glass).save(folder / "glass.png")
    Image.fromarray(pixels[:30, :40]).save(folder / "small.png")
    Image.fromarray(pixels[:40, :50]).save(folder / 'été "x".png')
    return folder


@pytest.fixture(scope="module")
def database_path(folder: Path, index: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("thumbnailed") / "db"
    index(path, sorted(folder.iterdir()))
    return path


@pytest.fixture(scope="module")
def shown(folder: Path, database_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = ServiceSettings(roots=(folder,), cache=tmp_path_factory.mktemp("cache"), originals=True)
    with closing(open_database(database_path)) as database, serving(database, settings) as served:
        yield served


@pytest.fixture
def again(folder: Path, index: Callable[..., None], tmp_path: Path) -> Iterator[Any]:
    """Makes services of a collection of its own, with settings."""
    index(tmp_path / "db", [folder / "wide.png", folder / "small.png"])
    with closing(open_database(tmp_path / "db")) as database:
        yield lambda **settings: serving(
            database, ServiceSettings(**{"roots": (folder,), "cache": tmp_path / "thumbnails", **settings})
        )


def _address(path: Path, what: str = "thumbnail") -> str:
    return f"/v1/pictures/{point_id(canonical_uri(path))}/{what}"


def _opened(response: Any) -> Image.Image:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/webp"
    return Image.open(io.BytesIO(response.content))


@pytest.mark.parametrize(("asked", "side"), [(1, 64), (64, 64), (65, 128), (200, 256), (None, 256), (257, 512), (1024, 600)])
def test_sizes_go_in_steps_and_nothing_is_enlarged(shown: Served, folder: Path, asked: int | None, side: int) -> None:
    parameters = {} if asked is None else {"size": asked}
    picture = _opened(shown.http.get(_address(folder / "wide.png"), params=parameters))
    assert picture.width == side
    assert abs(picture.height - side / 3) <= 1
    assert _opened(shown.http.get(_address(folder / "small.png"), params=parameters)).size == (40, 30)


@pytest.mark.parametrize("size", ["0", "-1", "1025", "x", "1e9"])
def test_other_sizes_are_refused(shown: Served, folder: Path, size: str) -> None:
    told = problem(shown.http.get(_address(folder / "wide.png"), params={"size": size}), 422, "invalid-request")
    assert told["pointer"] == "#query/size"


def test_a_picture_that_exif_turns_is_upright(shown: Served, folder: Path) -> None:
    picture = _opened(shown.http.get(_address(folder / "turned.jpg"))).convert("RGB")
    assert picture.size == (120, 80)
    assert np.asarray(picture)[:, :50, 0].min() > 200
    assert np.asarray(picture)[:, 70:, 0].max() < 50
    assert not picture.getexif()


def test_transparency_is_kept(shown: Served, folder: Path) -> None:
    pixels = np.asarray(_opened(shown.http.get(_address(folder / "glass.png"))).convert("RGBA"))
    assert pixels[:40, :, 3].min() == 255
    assert pixels[60:, :, 3].max() == 0


def test_it_is_not_sent_again_to_who_has_it(shown: Served, folder: Path) -> None:
    address = _address(folder / "wide.png")
    first = shown.http.get(address)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "Authorization"
    for given in (tag, f'"other", {tag}', f"W/{tag}"):
        response = shown.http.get(address, headers={"If-None-Match": given})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert shown.http.get(address, headers={"If-None-Match": '"other"'}).content == first.content
    other = shown.http.get(address, params={"size": 64}).headers["etag"]
    assert other != tag
    assert shown.http.get(_address(folder / "small.png")).headers["etag"] != tag


def test_named_by_its_content_it_is_good_for_ever(shown: Served, folder: Path) -> None:
    content = hashlib.sha256((folder / "wide.png").read_bytes()).hexdigest()
    for v, for_ever in ((content, True), (content[:16], True), (content[:15], False), ("0" * 64, False), ("", False)):
        response = shown.http.get(_address(folder / "wide.png"), params={"v": v})
        assert ("immutable" in response.headers["cache-control"]) is for_ever
        assert ("private" in response.headers["cache-control"]) is True


def test_what_there_is_not_is_a_problem(shown: Served) -> None:
    for what in ("thumbnail", "original"):
        problem(shown.http.get(f"/v1/pictures/{ABSENT}/{what}"), 404, "picture-not-found")
        problem(shown.http.get(f"/v1/pictures/none/{what}"), 422, "invalid-input")


def test_a_thumbnail_is_made_once(again: Any, folder: Path, tmp_path: Path) -> None:
    with again() as served:
        first = served.http.get(_address(folder / "wide.png")).content
        (kept,) = (tmp_path / "thumbnails").glob("*/*.webp")
        assert kept.read_bytes() == first
        kept.write_bytes(b"as it was kept")
        assert served.http.get(_address(folder / "wide.png")).content == b"as it was kept"
        made = [line for line in served.http.get("/metrics").text.splitlines() if 'seconds_count{stage="thumbnail"}' in line]
        assert made == ['semblant_stage_seconds_count{stage="thumbnail"} 1.0']


def test_the_cache_keeps_within_its_bound_and_gives_up_the_oldest(again: Any, folder: Path, tmp_path: Path) -> None:
    with again() as served:
        sizes = [len(served.http.get(_address(folder / "wide.png"), params={"size": size}).content) for size in (256, 128)]
    kept = sorted((tmp_path / "thumbnails").glob("*/*.webp"), key=lambda path: path.stat().st_size)
    for age, path in enumerate(kept):  # the larger one is the older
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    bound = sum(sizes) + 10
    with again(cache_bytes=bound) as served:
        assert served.http.get(_address(folder / "wide.png"), params={"size": 64}).status_code == 200
        left = list((tmp_path / "thumbnails").glob("*/*.webp"))
        assert sum(path.stat().st_size for path in left) <= bound
        assert kept[-1] not in left
        assert kept[0] in left
    with again(cache_bytes=0) as served:
        assert served.http.get(_address(folder / "small.png")).status_code == 200
        assert len(list((tmp_path / "thumbnails").glob("*/*.webp"))) == len(left)


def test_a_cache_that_cannot_be_written_costs_no_answer(again: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thumbnails").write_text("a file, and no folder")  # root writes in read-only folders, too
    with again() as served:
        first = _opened(served.http.get(_address(folder / "wide.png")))
        assert first.size == _opened(served.http.get(_address(folder / "wide.png"))).size


def test_a_picture_that_was_sent_has_thumbnails(again: Any, folder: Path) -> None:
    with again() as served:
        added = served.http.post(
            "/v1/pictures", files={"picture": (folder / "turned.jpg").read_bytes()}, data={"uri": "shop://1"}
        ).json()["pictures"][0]
        for size in (64, 256, 1024):
            response = served.http.get(f"/v1/pictures/{added['id']}/thumbnail", params={"size": size})
            assert _opened(response).width == min(size, 120), size
        told = problem(served.http.get(f"/v1/pictures/{added['id']}/original"), 403, "not-offered")
        assert "--originals" in told["detail"]


def test_a_file_is_given_out_as_it_is_where_that_is_allowed(shown: Served, again: Any, folder: Path) -> None:
    for path in folder.iterdir():
        response = shown.http.get(_address(path, "original"))
        assert response.content == path.read_bytes()
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-type"].startswith("image/")
        assert "sandbox" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "private, no-cache"
    name = shown.http.get(_address(folder / 'été "x".png', "original")).headers["content-disposition"]
    assert name == "inline; filename*=UTF-8''%C3%A9t%C3%A9%20%22x%22.png"
    with again() as served:
        problem(served.http.get(_address(folder / "wide.png", "original")), 403, "not-offered")


def test_a_picture_gone_from_disk_is_found_still_and_its_thumbnail_says_so(
    index: Callable[..., None], folder: Path, tmp_path: Path
) -> None:
    """Whether or not a thumbnail of it was kept, and to who has one already."""
    own = tmp_path / "own"
    own.mkdir()
    paths = [Path(shutil.copy(folder / name, own)) for name in ("wide.png", "small.png")]
    index(tmp_path / "db", paths)
    settings = ServiceSettings(roots=(own,), cache=tmp_path / "thumbnails", originals=True)
    with closing(open_database(tmp_path / "db")) as database, serving(database, settings) as served:
        tag = {"If-None-Match": served.http.get(_address(paths[0])).headers["etag"]}
        for path in paths:
            path.unlink()
        for response in (
            served.http.get(_address(paths[0])),
            served.http.get(_address(paths[0]), headers=tag),
            served.http.get(_address(paths[0]), params={"size": 64}),
            served.http.get(_address(paths[1])),
            served.http.get(_address(paths[1], "original")),
        ):
            told = problem(response, 410, "file-gone")
            assert ".png" in told["detail"]
            assert response.headers["cache-control"] == "no-store"
        hits = served.http.post("/v1/search", json={"id": point_id(canonical_uri(paths[0])), "include_self": True})
        assert len(hits.json()["hits"]) == 2
