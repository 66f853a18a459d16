"""What messages show of what was given."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from semblant_search import F, InvalidInput, SearchClient, SemblantError, WhereError, parse_where
from semblant_search.shown import shown, shown_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        ("http://user:secret@host/a.png", "http://***@host/a.png"),
        ("http://user:sec/ret@host/a.png", "http://***@host/a.png"),
        ("s3://key@bucket/a@2x.png", "s3://***@bucket/a@2x.png"),
        ("http://host:8080/img@2x.png", "http://host:8080/img@2x.png"),
        ("https://host/img@2x.png", "https://host/img@2x.png"),
        ("file:///home/a@b.png", "file:///home/a@b.png"),
        ("a@b.png", "a@b.png"),
    ],
)
def test_users_of_urls_are_hidden_and_other_at_signs_are_not(uri: str, seen: str) -> None:
    assert shown_name(uri) == shown(uri) == repr(seen)
    assert shown([uri]) == repr([seen])


def test_long_names_are_cut_short_and_say_so() -> None:
    assert shown_name("a" * 100_000) == f"'{'a' * 300}'… (100,000 characters)"
    assert len(shown("a" * 100_000)) == 80


SECRET = "http://user:s3cr3t@host/a.png"


def test_a_password_in_a_pictures_url_is_in_no_message_and_no_log(
    indexed: Path, tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "semblant_search")
    with SearchClient(shutil.copytree(indexed, tmp_path / "db")) as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.search(SECRET),
            lambda: client.search_batch([pictures[0], SECRET]),
            lambda: client.search_like([SECRET]),
            lambda: client.discover(SECRET, [(SECRET, SECRET)]),
            lambda: client.search_features(SECRET),
            lambda: client.get(SECRET),
            lambda: client.delete(SECRET),
            lambda: client.update_metadata(SECRET, {}),
            lambda: client.add(SECRET),
            lambda: client.add_many([SECRET]),
            lambda: client.embed([SECRET]),
            lambda: client.count(f'_uri > "{SECRET}"'),
            lambda: client.count(F("_width") == SECRET),
            lambda: client.add(pictures[0], {"price": SECRET}),
            lambda: client.search_vector(np.ones(49), where=SECRET),
            lambda: client.facet(SECRET),
        ]
        for call in calls:
            with pytest.raises(SemblantError) as caught:
                call()
            assert "host" in str(caught.value)
            assert "s3cr3t" not in str(caught.value)
        uri = client.add(pictures[0], uri=SECRET).uri
        assert uri == SECRET  # its name, which is what it was given
        assert client.search(uri, 1)
    assert "s3cr3t" not in caplog.text


def test_a_hidden_password_leaves_the_column_of_a_filters_error_where_it_was() -> None:
    text = f'_uri == "{SECRET}" and ='
    with pytest.raises(WhereError) as caught:
        parse_where(text)
    first, line, mark = str(caught.value).splitlines()
    assert line.strip() == text.replace("user:s3cr3t", "***********")
    assert first
    assert mark.strip() == "^"


def test_a_name_of_no_kind_is_refused_by_every_call_that_takes_one(indexed: Path) -> None:
    with SearchClient(indexed, collection="plain") as client:
        for wrong in (None, 5, b"x", ""):
            several: list[Any] = ["a", wrong]
            with pytest.raises(InvalidInput, match=r"^picture .*: expected its URI, its path or its point id"):
                client.get(wrong)  # type: ignore[arg-type]
            for call in (client.get_many, client.delete, lambda names: client.update_metadata(names, {})):
                with pytest.raises(InvalidInput, match=r"^pictures\[1\]: picture .*: expected its URI"):
                    call(several)
