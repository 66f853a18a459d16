"""The page is made of what the service says of itself: its sources fit that, and its libraries come from no named host."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from semblant_search.web.page import STATIC

PAGE = Path(__file__).parents[2] / "search" / "page"


def test_the_sources_fit_what_the_service_says_of_itself_today() -> None:
    if not (PAGE / "node_modules").is_dir():
        pytest.skip("the page's libraries are not installed: make page")
    done = subprocess.run(
        [sys.executable, str(PAGE / "build.py"), "--check"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    described = json.loads((PAGE / "openapi.json").read_text())
    assert "/v1/search" in described["paths"]


def test_the_lock_file_names_versions_and_digests_and_no_host() -> None:
    text = (PAGE / "package-lock.json").read_text()
    assert "://" not in text
    for name, package in json.loads(text)["packages"].items():
        assert not name or (package["version"] and package["integrity"].startswith("sha512-")), name


def test_the_built_page_is_small_and_holds_no_inline_script() -> None:
    if not (STATIC / "index.html").is_file():
        pytest.skip("the page is not built: make page")
    packed = sorted(STATIC.rglob("*.gz"))
    assert sum(path.stat().st_size for path in packed) <= 150_000
    for path in packed:
        assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()
    html = (STATIC / "index.html").read_text()
    assert html.count("<script") == html.count('<script type="module" crossorigin src="./assets/')
    assert "style=" not in html
    assert "<style" not in html
