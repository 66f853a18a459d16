"""What a service says of pictures within files, of other names of pictures, and of files that strangers send."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from semblant_indexer import IndexJob, run
from semblant_search.drawing.gallery import name_of
from semblant_search.frame_names import frame_bytes
from semblant_search.store import open_database
from semblant_search.web import ServiceSettings
from support.encoders import encoder_bytes
from support.service import Served, problem, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHADES = [
    Image.effect_mandelbrot((160, 120), (-2 + 0.2 * number, -1, 1, 1), 40 + 9 * number).convert("RGB") for number in range(3)
]
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='99' height='99'><rect width='50' height='50'/></svg>"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "p"
    folder.mkdir()
    first, *others = (shade.copy() for shade in SHADES)
    first.save(folder / "scan.tif", save_all=True, append_images=others)
    SHADES[0].copy().save(folder / "plain.png")
    (folder / "link.png").symlink_to("plain.png")
    (folder.parent / "encoder.onnx").write_bytes(encoder_bytes("grey-28"))
    return folder


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Served]:
    db = str(root.parent / "db")
    options: dict[str, Any] = {"orb": None, "workers": 1, "threads": 1, "frames": "all"}
    assert run(IndexJob(str(root), root.parent / "encoder.onnx", db, **options)).indexed == 4
    database = open_database(db)
    settings = ServiceSettings(originals=True, cache=root.parent / "cache")
    with serving(database, settings) as service:
        yield service
    database.close()


def test_a_frame_has_its_own_thumbnail_and_its_file_as_the_original(served: Served, root: Path) -> None:
    picture = served.client.get(f"{root.as_uri()}/scan.tif#frame=3")
    answer = served.http.get(f"/v1/pictures/{picture.id}/thumbnail", params={"size": 128})
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as thumbnail:
        expected = SHADES[2].resize(thumbnail.size)
        difference = [
            abs(one - other)
            for one, other in zip(thumbnail.convert("L").tobytes(), expected.convert("L").tobytes(), strict=True)
        ]
    assert sum(difference) / len(difference) < 6
    original = served.http.get(f"/v1/pictures/{picture.id}/original")
    assert original.content == (root / "scan.tif").read_bytes()
    assert original.headers["content-type"] == "image/tiff"
    assert "scan.tif" in original.headers["content-disposition"]
    found = served.http.post("/v1/search", json={"uri": picture.uri, "limit": 1}).json()
    assert found["hits"][0]["uri"] != picture.uri
    assert name_of(picture.uri) == "scan.tif#frame=3"


def test_another_name_finds_its_picture(served: Served, root: Path) -> None:
    (picture,) = served.http.post("/v1/pictures/get", json={"pictures": [f"{root.as_uri()}/link.png"]}).json()["pictures"]
    assert picture["uri"] == f"{root.as_uri()}/plain.png"


def test_a_frame_may_be_sent_and_an_active_file_may_not(served: Served, root: Path) -> None:
    data = frame_bytes((root / "scan.tif").read_bytes(), "frame=3")
    answer = served.http.post("/v1/search", files={"picture": ("q.tif", data)}, data={"limit": "1"})
    assert answer.json()["hits"][0]["uri"] == f"{root.as_uri()}/scan.tif#frame=3"
    for content in (SVG, b"%PDF-1.4\n1 0 obj", b"\0\0\0\x18ftypqt  \0\0\0\0qt      "):
        for route, form in (("/v1/search", {"limit": "1"}), ("/v1/embed", {}), ("/v1/pictures", {})):
            refused = served.http.post(route, files={"picture": ("q.png", content)}, data=form)
            assert "which a service does not read; send a PNG of it" in refused.text, (route, refused.text)
            if route == "/v1/search":
                problem(refused, refused.status_code, refused.json()["code"])
