"""Text that is none: it is refused where it is given, with the name of what holds it, and never stored as something else."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search import MetadataError, SearchClient
from support.service import listening, problem, service_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database
    from support.service import Served

HALF = "caf\ud83d"


@pytest.fixture
def own(own_shop: Database) -> Iterator[Served]:
    with serving(own_shop) as served:
        yield served


@pytest.fixture
def data(shop_pictures: Path) -> bytes:
    return (shop_pictures / "photos" / "moon.png").read_bytes() + b"\0"


def _form(data: bytes, name: bytes, value: bytes) -> bytes:
    part = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    return part % (b"picture", b'; filename="a.png"', data) + part % (name, b"", value) + b"--b--\r\n"


@pytest.mark.parametrize("kind", ["", "; charset=utf-8", "; charset=latin-1", "; charset=utf-16", "; charset=none"])
def test_a_form_is_utf_8_whatever_its_head_says(own: Served, data: bytes, kind: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary=b{kind}"}
    post = own.http.post
    given = post("/v1/pictures", content=_form(data, b"uri", "shop://é/😀".encode()), headers=headers)
    assert given.json()["pictures"][0]["uri"] == "shop://é/😀"
    before = own.client.count()
    for name, value in (
        (b"uri", b"shop://caf\xe9"),
        (b"uri", b"shop://\xff\xfe"),
        (b"uri", b"shop://\xed\xa0\xbd"),  # a half of a pair, as UTF-8 would write it
        (b"metadata", b'{"label": "caf\xe9"}'),
        (b"collection", b"\xe9"),
        (b"\xe9", b"1"),
    ):
        told = problem(post("/v1/pictures", content=_form(data, name, value), headers=headers), 422, "invalid-request")
        assert "is not UTF-8" in told["detail"]
    assert own.client.count() == before


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"label": HALF}, "label"),
        ({"label": ["bag", HALF]}, "label"),
        ({"maker": {"name": HALF}}, "maker.name"),
        ({"new": "\udcff"}, "new"),
    ],
    ids=["text", "list", "nested", "new"],
)
def test_half_of_a_surrogate_pair_in_metadata_is_refused_by_its_field(
    own: Served, data: bytes, metadata: dict[str, Any], field: str
) -> None:
    before = own.client.scroll(1000).pictures
    name = before[0].uri
    form = {"metadata": json.dumps(metadata), "uri": "shop://1"}
    (added,) = own.http.post("/v1/pictures", files={"picture": data}, data=form).json()["pictures"]
    changed = own.http.patch(
        "/v1/pictures",
        content=json.dumps({"pictures": [name], "metadata": metadata}),
        headers={"Content-Type": "application/json"},
    )
    assert added["code"] == "invalid-metadata"
    for told in (added, problem(changed, 422, "invalid-metadata")):
        assert f"{field!r}" in told["detail"]
        assert "half of a surrogate pair" in told["detail"]
    with listening(service_of(own.client)) as address, SearchClient(address) as remote:
        for client in (own.client, remote):
            with pytest.raises(MetadataError, match=f"'{field}'.*half of a surrogate pair"):
                client.add(data, metadata)
            with pytest.raises(MetadataError, match=f"'{field}'.*half of a surrogate pair"):
                client.update_metadata([name], metadata)
    assert own.client.scroll(1000).pictures == before


def test_paths_as_metadata_are_no_way_round(own: Served, data: bytes) -> None:
    with pytest.raises(MetadataError, match="'path'"):
        own.client.add(data, {"path": PurePosixPath(HALF)})
    assert own.client.add(data, {"path": PurePosixPath("é")}).metadata == {"path": "é"}
