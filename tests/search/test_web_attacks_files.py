"""Attacks by files: a service gives out nothing but indexed pictures under an allowed root, as pictures."""

from __future__ import annotations

import io
import os
import shutil
import struct
import sys
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from semblant_search import FieldType, InvalidInput, canonical_uri, point_id
from semblant_search.file_access import file_rule, only_under
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings, files
from support.service import problem, serving
from support.systems import needs_posix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from semblant_search.store import Database
    from support.service import Served

BOTH = ("thumbnail", "original")


def _picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 50, 3), np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`root/a.png`, and beside the root `root-secret/b.png`; `root/link.png` and `root/folder` lead to it."""
    root, secret = tmp_path / "root", tmp_path / "root-secret"
    root.mkdir()
    secret.mkdir()
    _picture(1).save(root / "a.png")
    _picture(2).save(secret / "b.png")
    (root / "link.png").symlink_to(secret / "b.png")
    (root / "folder").symlink_to(secret)
    return root


@pytest.fixture
def attacked(root: Path, index: Callable[..., None], tmp_path: Path) -> Iterator[Served]:
    """A service of `root` only, in whose collection pictures outside of it have got, too."""
    secret = tmp_path / "root-secret"
    index(tmp_path / "db", [root / "a.png", root / "link.png", root / "folder" / "b.png", secret / "b.png"])
    settings = ServiceSettings(roots=(root,), cache=tmp_path / "cache", originals=True)
    with closing(open_database(tmp_path / "db")) as database, serving(database, settings) as served:
        yield served


def _address(path: Path, what: str) -> str:
    return f"/v1/pictures/{point_id(canonical_uri(path))}/{what}"


def test_pictures_outside_the_root_are_not_given_out(attacked: Served, root: Path, tmp_path: Path) -> None:
    for what in BOTH:
        assert attacked.http.get(_address(root / "a.png", what)).status_code == 200
        for path in (root / "link.png", root / "folder" / "b.png", tmp_path / "root-secret" / "b.png"):
            told = problem(attacked.http.get(_address(path, what)), 404, "file-not-at-hand")
            assert "lies in no folder" in told["detail"]


@pytest.mark.parametrize("what", BOTH)
@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "....//....//etc/passwd",
        "%2Fetc%2Fpasswd",
        "file:%2F%2F%2Fetc%2Fpasswd",
        "..%5c..%5cetc",
        "a.png%00",
        "%00",
        "%ff%fe",
        "~root",
        "C:%5Cboot.ini",
    ],
)
def test_a_path_is_no_name_of_a_picture(served: Served, name: str, what: str) -> None:
    response = served.http.get(f"/v1/pictures/{name}/{what}")
    assert response.status_code in (404, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "root:" not in response.text


def test_a_link_that_takes_a_picture_s_place_is_not_followed_out(attacked: Served, root: Path, tmp_path: Path) -> None:
    (tmp_path / "root-secret" / "a.png").write_bytes((root / "a.png").read_bytes())  # even to the same bytes
    (root / "a.png").unlink()
    (root / "a.png").symlink_to(tmp_path / "root-secret" / "a.png")
    for what in BOTH:
        problem(attacked.http.get(_address(root / "a.png", what)), 404, "file-not-at-hand")


def test_a_folder_that_became_a_link_is_not_followed_out(index: Callable[..., None], tmp_path: Path) -> None:
    folder = tmp_path / "root" / "inner"
    folder.mkdir(parents=True)
    _picture(1).save(folder / "a.png")
    index(tmp_path / "db", [folder / "a.png"])
    settings = ServiceSettings(roots=(tmp_path / "root",), cache=tmp_path / "cache", originals=True)
    with closing(open_database(tmp_path / "db")) as database, serving(database, settings) as served:
        shutil.move(folder, tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved")
        for what in BOTH:
            problem(served.http.get(_address(folder / "a.png", what)), 404, "file-not-at-hand")


def test_a_file_that_changed_since_it_was_indexed_is_not_given_out(attacked: Served, root: Path) -> None:
    for data in (b"root:x:0:0", _bytes(_picture(3)), b""):
        (root / "a.png").write_bytes(data)
        for what in BOTH:
            told = problem(attacked.http.get(_address(root / "a.png", what)), 404, "file-not-at-hand")
            assert "another one since" in told["detail"]
    (root / "a.png").unlink()
    for what in BOTH:
        assert "is gone" in problem(attacked.http.get(_address(root / "a.png", what)), 410, "file-gone")["detail"]
    (root / "a.png").mkdir()
    for what in BOTH:
        problem(attacked.http.get(_address(root / "a.png", what)), 404, "file-not-at-hand")


@needs_posix
def test_a_pipe_or_device_in_a_picture_s_place_is_not_waited_for(attacked: Served, root: Path) -> None:
    (root / "a.png").unlink()
    os.mkfifo(root / "a.png")
    for what in BOTH:
        problem(attacked.http.get(_address(root / "a.png", what)), 404, "file-not-at-hand")


def test_a_picture_that_is_sent_under_a_file_s_name_gives_out_no_file(attacked: Served, root: Path, tmp_path: Path) -> None:
    """Whether or not such names are taken: what is on disk has other bytes than what was sent."""
    (root / "notes.txt").write_text("the secret")
    sent = _bytes(_picture(7))
    for path in (root / "notes.txt", tmp_path / "root-secret" / "b.png"):
        for prefix in ("", " ", "\t"):
            response = attacked.http.post("/v1/pictures", files={"picture": sent}, data={"uri": prefix + canonical_uri(path)})
            if response.status_code != 200:
                problem(response, 422, "invalid-input")
                continue
            assert attacked.http.get(_address(path, "original")).status_code == 404
            assert b"secret" not in attacked.http.get(_address(path, "thumbnail")).content


_opened: list[str] | None = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], (str, bytes)):
        _opened.append(os.path.realpath(os.fsdecode(arguments[0])))


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The files that this process opens in the test, in any thread."""
    global _opened
    if _hear not in _heard:
        _heard.append(_hear)
        sys.addaudithook(_hear)  # for good
    _opened = []
    yield _opened
    _opened = None


_heard: list[Any] = []


def test_a_picture_under_a_file_s_name_has_no_file_opened_outside_the_roots(
    attacked: Served, root: Path, tmp_path: Path, opened: list[str]
) -> None:
    """Neither for duplicates, nor for the details of a part of it."""
    secret = tmp_path / "root-secret" / "b.png"
    (root / "link.png").unlink()
    (root / "link.png").symlink_to(secret)
    for path in (secret, root / "link.png", root / "copy.png"):
        form = {"uri": canonical_uri(path)}
        assert attacked.http.post("/v1/pictures", files={"picture": secret.read_bytes()}, data=form).status_code == 200
    opened.clear()
    assert attacked.http.post("/v1/duplicates", json={}).status_code == 200
    for path in (secret, root / "link.png", root / "folder" / "b.png", root / "a.png"):
        asked = {"id": point_id(canonical_uri(path)), "region": [0, 0, 40, 40]}
        assert attacked.http.post("/v1/search/features", json=asked).status_code in (200, 422)
        attacked.http.post("/v1/search", json=asked)
    assert str(root / "a.png") in opened
    assert not [path for path in opened if path.startswith(str(secret.parent))]


NO_FILE = ("file:///a%00b", "{root}/%00", "shop://a b\n", "shop://a\x1bb", "shop://a\u2028b")
"""URIs that no new picture may have; older versions took them."""


def test_a_name_that_no_file_can_have_is_refused(attacked: Served, root: Path) -> None:
    for name in NO_FILE:
        form = {"uri": name.format(root=root.as_uri())}
        response = attacked.http.post("/v1/pictures", files={"picture": _bytes(_picture(8))}, data=form)
        assert "expected one without line breaks" in problem(response, 422, "invalid-input")["detail"]
    for uri in ("file:///a%00b", "a\0b", f"{root.as_uri()}/%00"):
        response = attacked.http.post("/v1/sources/relocate", json={"name": "x", "root": uri})
        assert "--root" in problem(response, 403, "not-offered")["detail"]


def test_a_collection_with_a_name_that_no_file_can_have_answers(
    attacked: Served, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [name.format(root=root.as_uri()) for name in NO_FILE]
    with monkeypatch.context() as older:
        older.setattr("semblant_search.writing.adding.check_new_uri", str)
        ids = [attacked.client.add(_bytes(_picture(20 + number)), uri=name).id for number, name in enumerate(names)]
    assert attacked.http.post("/v1/duplicates", json={}).status_code == 200
    for id, name in zip(ids, names, strict=True):
        assert attacked.http.get(f"/v1/pictures/{id}").json()["uri"] == name
        problem(attacked.http.get(f"/v1/pictures/{id}/original"), 404, "file-not-at-hand")
        assert attacked.http.get(f"/v1/pictures/{id}/thumbnail").status_code in (200, 404)
        for path in ("/v1/search", "/v1/search/features"):
            for asked in ({"id": id}, {"uri": name}, {"id": id, "region": [0, 0, 40, 40]}):
                assert attacked.http.post(path, json=asked).status_code in (200, 422), (path, asked)
    assert attacked.http.post("/v1/pictures/delete", json={"pictures": names}).json() == {"count": len(names)}


def test_a_source_whose_root_no_folder_can_have_is_no_folder_to_give_out(attacked: Served, tmp_path: Path, root: Path) -> None:
    place = tmp_path / "a\0"
    with only_under((place, root)):
        rule = file_rule()
        assert not rule(place / "b.png")
        assert rule(root / "a.png")
    picture = attacked.client.get(root / "a.png")
    assert files.place_of(picture, (place, root)) == (root / "a.png").resolve()
    attacked.client.add(_bytes(_picture(9)), uri="shop://9")
    with pytest.raises(InvalidInput, match="without %00"):
        attacked.client.relocate_source("client", "/a\0/", check=False)


def test_a_source_does_not_move_out_of_the_roots(attacked: Served, root: Path, tmp_path: Path) -> None:
    for place in (tmp_path / "root-secret", root / "folder", "/etc", f"file://{tmp_path}", root / ".."):
        response = attacked.http.post("/v1/sources/relocate", json={"name": "x", "root": str(place)})
        assert "--root" in problem(response, 403, "not-offered")["detail"]
    problem(attacked.http.post("/v1/sources/relocate", json={"name": "x", "root": str(root)}), 422, "invalid-input")


def _bytes(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _bomb(width: int, height: int) -> bytes:
    """A PNG of so many pixels in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (60_000_000, 1)])
def test_a_picture_of_more_pixels_than_may_be_is_refused_by_its_header(served: Served, width: int, height: int) -> None:
    data = _bomb(width, height)
    for path in ("/v1/search", "/v1/search/features", "/v1/search/fused"):
        response = served.http.post(path, files={"picture": data})
        told = response.json()
        assert (response.status_code, told["code"]) in ((413, "picture-too-large"), (422, "unusable-picture")), told
    (told,) = served.http.post("/v1/pictures", files={"picture": data}).json()["pictures"]
    assert told["code"] in ("picture-too-large", "unusable-picture")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><html><body><script>alert(1)</script></body></html>"
XXE = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) run\n"


@pytest.mark.parametrize(
    "data", [SVG, HTML, XXE, EPS, b"GIF89a", b"\xff\xd8\xff", b"%PDF-1.4", b"PK\x03\x04", b"RIFF\0\0\0\0WEBP"]
)
def test_what_is_no_raster_picture_is_refused(served: Served, data: bytes) -> None:
    for path in ("/v1/search", "/v1/search/features"):
        told = problem(served.http.post(path, files={"picture": ("a.png", data, "image/png")}), 422, "unusable-picture")
        assert "<script>" not in told["detail"]
        assert "root:" not in told["detail"]


def test_a_polyglot_is_given_out_as_a_picture_only(index: Callable[..., None], tmp_path: Path) -> None:
    """A picture that is HTML, too: neither the name nor the content makes it another type."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "page.html").write_bytes(_bytes(_picture(1)) + HTML)
    (folder / "drawing.svg").write_bytes(_bytes(_picture(2)) + SVG)
    (folder / "a.png").write_bytes(_bytes(_picture(3), "PNG"))
    index(tmp_path / "db", sorted(folder.iterdir()))
    settings = ServiceSettings(roots=(folder,), cache=tmp_path / "cache", originals=True)
    with closing(open_database(tmp_path / "db")) as database, serving(database, settings) as served:
        for path in folder.iterdir():
            for what in BOTH:
                response = served.http.get(_address(path, what), headers={"Accept": "text/html"})
                assert response.headers["content-type"] in ("image/png", "image/webp")
                assert response.headers["x-content-type-options"] == "nosniff"
                if what == "thumbnail":
                    assert b"script" not in response.content
                else:
                    assert response.headers["content-security-policy"] == "sandbox; default-src 'none'"


def test_the_names_of_uploaded_files_are_nowhere(own_shop: Database, tmp_path: Path, shop_pictures: Path) -> None:
    data = (shop_pictures / "photos" / "moon.png").read_bytes() + b"\0"
    with serving(own_shop, ServiceSettings(cache=tmp_path / "cache")) as served:
        for name in ("../../x.png", "<script>.png", "a\r\nb", "\x00", "/etc/passwd"):
            response = served.http.post("/v1/pictures", files={"picture": (name, data, "text/html")})
            assert response.status_code == 200, response.text
            picture = response.json()["pictures"][0]
            assert name not in picture["uri"]
            assert "script" not in response.text


def test_thumbnails_of_two_collections_do_not_mix(
    shop: Path, shop_settings: ServiceSettings, shop_pictures: Path, tmp_path: Path
) -> None:
    """The same name with other content in another collection has its own thumbnail; the same content shares one."""
    first, second = (_bytes(_picture(seed)) for seed in (11, 12))
    settings = ServiceSettings(cache=tmp_path / "cache")
    path = shutil.copytree(shop, tmp_path / "shop.db")
    with closing(open_database(path)) as database, serving(database, settings) as served:
        tags = []
        for collection, data in (("images", first), ("plain", second)):
            form = {"uri": "shop://same", "collection": collection}
            response = served.http.post("/v1/pictures", files={"picture": data}, data=form)
            assert response.status_code == 200, response.text
            id = response.json()["pictures"][0]["id"]
            thumbnail = served.http.get(f"/v1/pictures/{id}/thumbnail", params={"collection": collection})
            expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)
            found = np.asarray(Image.open(io.BytesIO(thumbnail.content)).convert("RGB"), float)
            assert found.shape == expected.shape
            assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.5
            tags.append(thumbnail.headers["etag"])
        assert tags[0] != tags[1]


def test_a_thumbnail_that_was_kept_is_no_way_round_the_roots(index: Callable[..., None], tmp_path: Path) -> None:
    folder, other = tmp_path / "root", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    _picture(1).save(folder / "a.png")
    index(tmp_path / "db", [folder / "a.png"])
    with closing(open_database(tmp_path / "db")) as database:
        for roots, status in (((folder,), 200), ((other,), 404)):
            settings = ServiceSettings(roots=roots, cache=tmp_path / "cache")
            with serving(database, settings) as served:
                response = served.http.get(_address(folder / "a.png", "thumbnail"))
                assert response.status_code == status, response.text
                tag = {"If-None-Match": '"x"' if status == 404 else response.headers["etag"]}
                assert served.http.get(_address(folder / "a.png", "thumbnail"), headers=tag).status_code in (304, 404)


def test_a_thumbnail_that_was_kept_of_a_picture_that_was_sent_and_indexed_is_no_way_round_its_file(
    index: Callable[..., None], tmp_path: Path
) -> None:
    folder, other = tmp_path / "root", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    _picture(1).save(folder / "a.png")
    index(tmp_path / "db", [folder / "a.png"])
    address, data = _address(folder / "a.png", "thumbnail"), (folder / "a.png").read_bytes()
    shared = {"_sources": ["job", "client"]}  # as one that a job indexed and a program added
    with closing(open_database(tmp_path / "db")) as database:
        with closing(database.open("images")) as store:
            store.add_fields({"_sources": FieldType.KEYWORD})
            (record,) = store.retrieve([point_id(canonical_uri(folder / "a.png"))])
            store.set_payloads({record.id: {**record.payload, **shared}})
        for roots, status in (((folder,), 200), ((other,), 404)):
            with serving(database, ServiceSettings(roots=roots, cache=tmp_path / "cache")) as served:
                response = served.http.get(address)
                assert response.status_code == status, response.text
                sent = served.http.post("/v1/pictures", files={"picture": data}, data={"uri": "https://h/a.png"}).json()
                assert served.http.get(f"/v1/pictures/{sent['pictures'][0]['id']}/thumbnail").status_code == 200
        (folder / "a.png").unlink()
        with serving(database, ServiceSettings(roots=(folder,), cache=tmp_path / "cache")) as served:
            problem(served.http.get(address), 410, "file-gone")
