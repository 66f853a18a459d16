"""Names are for ever: another URI or id for the same picture makes every collection index everything twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from semblant_search import InvalidInput, canonical_uri, point_id
from semblant_search.collection import member_uri, uri_path

GOLDEN: list[tuple[str, str, str]] = [
    ("/p/a.png", "file:///p/a.png", "c1907bb6-5e5a-5d8d-a54a-32cc3e57e4a2"),
    ("/p/a b.png", "file:///p/a%20b.png", "53b77a7f-cde6-5ac9-a88e-61bcb9e9d700"),
    ("/p/ü.png", "file:///p/%C3%BC.png", "bc761079-a03a-5e12-a094-91669783e5d2"),
    ("/p/u\u0308.png", "file:///p/u%CC%88.png", "e84480a6-8868-590d-8165-d436d740b345"),  # another file, so another name
    ("/p/日本.png", "file:///p/%E6%97%A5%E6%9C%AC.png", "085ace52-e289-544e-84d2-1fdd2de79c8d"),
    ("/p/😀.png", "file:///p/%F0%9F%98%80.png", "ef8f1b20-59a1-5ccc-a6f1-fe4dbeaddc56"),
    ("/p/../q/a.png", "file:///q/a.png", "ba298f33-e940-544a-9a69-3bb83a5be8ac"),
    ("/../../a.png", "file:///a.png", "d5efe6e0-665a-5684-ab9d-8d0f2f8a7979"),
    ("/p/./a//b.png", "file:///p/a/b.png", "6138c395-2232-5733-ae23-8ac5cf40af94"),
    ("//net/a.png", "file:///net/a.png", "2b0a020b-112e-5707-9e87-b59769aea261"),
    ("/p/a.png/", "file:///p/a.png", "c1907bb6-5e5a-5d8d-a54a-32cc3e57e4a2"),
    ("/p/.../a.png", "file:///p/.../a.png", "97f24806-f42f-5006-91d9-077d1739bb27"),
    ("/p/..a/b..png", "file:///p/..a/b..png", "08cb31f7-07c7-51eb-acd0-239a93e3f923"),
    ("/p/100%.png", "file:///p/100%25.png", "2a75097d-2a46-55f9-871a-0f5a829f898f"),
    ("/p/a%20b.png", "file:///p/a%2520b.png", "4f365b1b-ae5d-5a58-9908-106926ddc2ec"),
    ("/p/#1?.png", "file:///p/%231%3F.png", "21dfd826-771d-53f8-98df-6b3f5fc4660e"),
    ("/p/a&b=c;d,e(f)!'*$@:~+.png", "file:///p/a&b=c;d,e(f)!'*$@:~+.png", "b9899889-63f0-5356-9367-1196a24235b3"),
    ('/p/[x]{y}|z^`\\"<>.png', "file:///p/%5Bx%5D%7By%7D%7Cz%5E%60%5C%22%3C%3E.png", "0222a4a4-5649-58ea-9e02-360844e4ddec"),
    ("/p/\n.png", "file:///p/%0A.png", "0576e637-f23d-5ae4-a546-d601714c0f3a"),
    (os.fsdecode(b"/p/\xff.png"), "file:///p/%FF.png", "1f12bfde-17d3-5f29-bc88-2568a6b565ef"),
    ("file:///p/a b.png", "file:///p/a%20b.png", "53b77a7f-cde6-5ac9-a88e-61bcb9e9d700"),
    ("file:///p/a%20b.png", "file:///p/a%20b.png", "53b77a7f-cde6-5ac9-a88e-61bcb9e9d700"),
    ("file:///p/%c3%bc.png", "file:///p/%C3%BC.png", "bc761079-a03a-5e12-a094-91669783e5d2"),
    ("file:///p/%FF.png", "file:///p/%FF.png", "1f12bfde-17d3-5f29-bc88-2568a6b565ef"),
    ("file:///p/../q/a.png", "file:///q/a.png", "ba298f33-e940-544a-9a69-3bb83a5be8ac"),
    ("file:///p/a%3Fx.png", "file:///p/a%3Fx.png", "708aeeec-4a5e-5332-bf84-8b5a8ad5e4f2"),
    ("file:///p/a.png?x=1", "file:///p/a.png", "c1907bb6-5e5a-5d8d-a54a-32cc3e57e4a2"),
    ("file:///p/a.tar#b.png", "file:///p/a.tar#b.png", "47b11941-f3db-5cfd-9e78-9842ac4993e9"),  # a part of a file
    ("FILE:///p/a.png", "file:///p/a.png", "c1907bb6-5e5a-5d8d-a54a-32cc3e57e4a2"),
    ("File://localhost/p/a.png", "file:///p/a.png", "c1907bb6-5e5a-5d8d-a54a-32cc3e57e4a2"),
    ("http://h/a b.png", "http://h/a b.png", "d87b66e9-760a-5688-983a-eba3d6276e05"),
    ("http://h/../a.png", "http://h/../a.png", "03ba0d9d-ad4d-5687-9edf-42e429c3e7f4"),
    ("HTTP://H/a.png", "HTTP://H/a.png", "3d8a8dcf-da53-58df-b246-3f1a0653a9f4"),
    ("https://h/a.png?x=1&y=2#f", "https://h/a.png?x=1&y=2#f", "20cc74de-b50d-53ac-b444-d3964b51c9bc"),
    ("https://h/ü.png", "https://h/ü.png", "57c19d05-2e7b-57ae-8b71-02e0b3510ec1"),
    ("s3://bucket/a/../b.png", "s3://bucket/a/../b.png", "1297a101-8ea8-58e2-a67b-9c24c154592f"),
]


@pytest.mark.parametrize(("source", "uri", "id"), GOLDEN)
def test_a_picture_keeps_its_uri_and_its_id(source: str, uri: str, id: str) -> None:
    assert (canonical_uri(source), point_id(uri)) == (uri, id)
    assert canonical_uri(uri) == uri


@pytest.mark.parametrize(("source", "uri"), [(source, uri) for source, uri, _ in GOLDEN if "://" not in source])
def test_a_path_and_its_text_are_one_picture(source: str, uri: str) -> None:
    assert canonical_uri(Path(source)) == uri
    folded = uri_path(uri)
    assert folded is not None
    assert canonical_uri(folded) == uri


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///p/a%20b.png", "/p/a b.png"),
        ("file:///p/%C3%BC.png", "/p/ü.png"),
        ("file:///p/%FF.png", os.fsdecode(b"/p/\xff.png")),
        ("FILE:///p/a.png", "/p/a.png"),
        ("https://h/a.png", None),
        ("s3://bucket/a.png", None),
    ],
)
def test_only_a_file_uri_has_a_path(uri: str, path: str | None) -> None:
    assert uri_path(uri) == (None if path is None else Path(path))


def test_relative_paths_begin_where_the_process_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    whole = canonical_uri(tmp_path / "in" / "a.png")
    for same in ("a.png", "./a.png", "x/../a.png", "../in/a.png", Path("a.png")):
        assert canonical_uri(same) == whole
    assert canonical_uri("../a.png") == canonical_uri(tmp_path / "a.png")
    assert canonical_uri("~/a.png") == canonical_uri(tmp_path / "in" / "~" / "a.png")
    assert canonical_uri(Path("http://h/a.png")) == canonical_uri(tmp_path / "in" / "http:" / "h" / "a.png")


def test_a_link_is_a_picture_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "real.png").touch()
    (tmp_path / "link.png").symlink_to("real.png")
    assert canonical_uri(tmp_path / "link.png").endswith("/link.png")


@pytest.mark.parametrize("uri", ["http://[bad/a.png", "file://[bad/a.png", "https://h/\udcff.png"])
def test_a_uri_that_is_none_is_refused_by_name(uri: str) -> None:
    with pytest.raises(InvalidInput, match="URI"):
        canonical_uri(uri)


def test_two_dots_behind_a_linked_folder_are_above_what_it_links_to(tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    for folder in ("far", "here"):
        (tmp_path / folder / "x.png").write_text(folder)
    (tmp_path / "here" / "link").symlink_to("../far/away")
    (tmp_path / "here" / "again").symlink_to("link")
    (tmp_path / "here" / "nowhere").symlink_to("missing/folder")
    (tmp_path / "here" / "loop").symlink_to("loop")
    far, here = canonical_uri(tmp_path / "far" / "x.png"), canonical_uri(tmp_path / "here" / "x.png")
    for path, uri in [
        ("here/link/../x.png", far),
        ("here/again/../x.png", far),
        ("here/./link/.//../x.png", far),
        ("here/link/../away/../x.png", far),
        ("here/link/../../here/x.png", here),
        ("here/link/below/../../x.png", far),
        ("far/away/../../here/x.png", here),
        ("here/nothing/../x.png", here),
        ("here/nowhere/../x.png", here),
        ("here/loop/../x.png", here),
        ("here/" + "n" * 300 + "/../x.png", here),
        ("here/\0/../x.png", here),
    ]:
        for same in (tmp_path / path, f"{tmp_path}/{path}", f"file://{tmp_path}/{path}"):
            assert canonical_uri(same) == uri, path
        if os.path.exists(f"{tmp_path}/{path}"):  # noqa: PTH110 - pathlib may fold
            found = uri_path(uri)
            assert found is not None
            assert Path(f"{tmp_path}/{path}").read_text() == found.read_text()
    assert canonical_uri(tmp_path / "here" / "link" / "y.png").endswith("/here/link/y.png")  # a link alone stays a name


def test_a_member_of_an_archive_is_named_by_its_text_alone() -> None:
    """Links of the machine that reads an archive say nothing about it: `/bin` is one on many."""
    for name, named in [
        ("a/../b.png", "b.png"),
        ("bin/../b.png", "b.png"),
        ("./a//é.png", "a/%C3%A9.png"),
        ("../b.png", "b.png"),
    ]:
        assert member_uri("file:///p/s.tar", name) == f"file:///p/s.tar#{named}"


def test_a_file_of_another_host_is_no_local_one() -> None:
    assert canonical_uri("file://localhost/pictures/a.png") == "file:///pictures/a.png"
    assert canonical_uri("file://server/pictures/a.png") == "file://server/pictures/a.png"
    assert uri_path("file://server/pictures/a.png") is None
    assert point_id(canonical_uri("file://server/pictures/a.png")) != point_id(canonical_uri("/pictures/a.png"))
