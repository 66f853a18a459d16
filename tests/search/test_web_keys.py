"""Keys: made, listed, revoked, signed; kept so that who reads the file cannot come in; asked for on every route."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from semblant_search import InvalidInput, StoreError
from semblant_search.cli import semblant
from semblant_search.store import open_database
from semblant_search.web import KeyFile, ServiceSettings, sign_key
from support.service import bearer, problem, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from semblant_search.store import Database
    from support.service import Served

NEEDS = {
    **dict.fromkeys(["livez", "readyz"], None),
    **dict.fromkeys(["add_pictures", "update_pictures", "delete_pictures", "delete_picture"], "write"),
    **dict.fromkeys(["remove_source", "rename_source", "relocate_source"], "admin"),
}
"""The scope that an operation takes, where that is not `search`."""
SCOPES = ("search", "write", "admin")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFile:
    return KeyFile(tmp_path_factory.mktemp("keys") / "keys.json")


@pytest.fixture(scope="module")
def texts(keys: KeyFile) -> dict[str, str]:
    return {scope: keys.create(scope, scope)[0] for scope in SCOPES}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def locked(shop: Path, keys: KeyFile, texts: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("locked")
    with (
        closing(open_database(shutil.copytree(shop, folder / "shop.db"))) as database,
        serving(database, ServiceSettings(cache=folder / "cache"), keys=keys) as served,
    ):
        yield served


def test_nothing_of_a_request_is_read_that_its_key_does_not_allow(locked: Served, texts: dict[str, str]) -> None:
    assert _status_without_a_body(locked) == 401
    assert _status_without_a_body(locked, f"Bearer {texts['search']}") == 403
    for kind in ("text/plain", "multipart/form-data", ""):  # nor does its type come first
        headers = {**bearer(texts["search"]), "Content-Type": kind}
        problem(locked.http.post("/v1/pictures", content=b"x", headers=headers), 403, "scope-missing")
    headers = {**bearer(texts["write"]), "Content-Type": "text/plain"}
    problem(locked.http.post("/v1/sources/remove", content=b"x", headers=headers), 403, "scope-missing")


def _status_without_a_body(locked: Served, key: str = "") -> int:
    async def ask() -> int:
        sent: list[Any] = []

        async def receive() -> Any:
            raise AssertionError("the body was asked for")

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/pictures",
            "raw_path": b"/v1/pictures",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [
                (b"host", b"localhost"),
                (b"content-type", b"multipart/form-data; boundary=x"),
                (b"authorization", key.encode()),
            ],
        }
        await locked.app(scope, receive, send)
        return int(sent[0]["status"])

    return asyncio.run(ask())


_OWN = {"search", "health"}
"""Tags of operations that no other part adds."""


def _operations(served: Served) -> list[tuple[str, str, str]]:
    """Operation id, method and path of every route of the search itself, as the OpenAPI has them."""
    return [
        (
            operation["operationId"],
            method.upper(),
            path.replace("{id}", "0" * 8 + "-0000" * 3 + "-" + "0" * 12).replace("{name}", "x"),
        )
        for path, item in served.app.openapi()["paths"].items()
        for method, operation in item.items()
        if _OWN & {*operation["tags"]}
    ]


def test_every_operation_takes_a_key_of_its_scope(locked: Served, texts: dict[str, str]) -> None:
    operations = _operations(locked)
    assert set(NEEDS) - {"remove_source", "rename_source", "relocate_source"} <= {name for name, _, _ in operations}
    assert len(operations) >= 19
    for name, method, path in operations:
        needed = NEEDS.get(name, "search")
        refused = locked.http.request(method, path)
        if needed is None:
            assert refused.status_code == 200, name
            continue
        problem(refused, 401, "key-required")
        assert refused.headers["www-authenticate"] == "Bearer"
        told = locked.http.request(method, path, headers=bearer("sk_0_0"))
        assert (told.status_code, told.json()["code"]) == (401, "key-refused"), name
        files = {"picture": b"x"} if name in ("add_pictures", "embed") else None  # what takes nothing else
        for scope in SCOPES:
            response = locked.http.request(method, path, headers=bearer(texts[scope]), files=files)
            if SCOPES.index(scope) < SCOPES.index(needed):
                assert problem(response, 403, "scope-missing")["detail"].endswith(f"this takes {needed!r}")
            else:
                assert response.status_code not in (401, 403) or response.json()["code"] == "not-offered", (name, scope)


def test_the_description_says_which_operations_take_a_key(locked: Served) -> None:
    for item in locked.app.openapi()["paths"].values():
        for operation in (one for one in item.values() if _OWN & {*one["tags"]}):
            needed = NEEDS.get(operation["operationId"], "search")
            assert operation.get("security", []) == ([{"HTTPBearer": [needed]}] if needed else []) or operation["security"] == [
                {"HTTPBearer": []}
            ]
            assert bool(operation.get("security")) is (needed is not None), operation["operationId"]


def test_every_address_that_the_app_answers_is_in_its_description(locked: Served) -> None:
    described = set(locked.app.openapi()["paths"])
    answered: set[str] = {route.path for route in locked.app.routes if hasattr(route, "path")}
    for_people = {"/", "/assets/{name}", "/docs", "/openapi.json"}
    assert answered - for_people <= described
    for path in ("/docs", "/openapi.json"):
        assert locked.http.get(path).status_code == 200  # what there is to ask is no secret


@pytest.mark.parametrize("header", ["", "Bearer", "Basic c2s6eA==", "Bearer ", "sk_1_2", "Bearer  ", "Token sk_x"])
def test_a_header_that_holds_no_key_is_none(locked: Served, header: str) -> None:
    problem(locked.http.get("/v1/count", headers={"Authorization": header}), 401, "key-required")


def _changed(text: str) -> list[str]:
    last = "A" if text[-8] != "A" else "B"
    return [
        text[:-8] + last + text[-7:],
        text[:-1],
        text + "A",
        text.upper(),
        text.replace("sk_", "st_"),
        text.replace("sk_", ""),
        text.replace("sk_", "sk_sk_"),
        "sk_" + text.split("_", 2)[2],
        "sk__",
        "sk_" + "_" * 50,
        "sk_" + "a" * 10_000,
        "st_" + "a" * 10_000,
        "st_.",
        "st_e30.AAAA",
        "st_" + base64.urlsafe_b64encode(b"[" * 900).decode(),
    ]


def test_a_changed_key_is_refused(locked: Served, texts: dict[str, str]) -> None:
    for text in _changed(texts["admin"]):
        told = problem(locked.http.get("/v1/count", headers=bearer(text)), 401, "key-refused")
        assert text[:30] not in json.dumps(told)


def test_the_secret_is_in_no_file(keys: KeyFile, texts: dict[str, str]) -> None:
    path = keys._path
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for text in texts.values():
        secret = text.split("_", 2)[2]
        raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
        assert len(raw) == 32
        for form in (secret.encode(), raw, raw.hex().encode(), base64.b64encode(raw)):
            assert form not in kept
    assert path.stat().st_mode & 0o077 == 0


def test_what_the_file_holds_lets_nobody_in(locked: Served, keys: KeyFile) -> None:
    for key in keys.keys():  # noqa: SIM118
        raw = bytes.fromhex(key.sha256)
        for secret in (key.sha256, key.public, base64.urlsafe_b64encode(raw).decode().rstrip("="), ""):
            problem(locked.http.get("/v1/count", headers=bearer(f"sk_{key.id}_{secret}")), 401, "key-refused")
        signed = sign_key(f"sk_{key.id}_{base64.urlsafe_b64encode(raw).decode()}", where="price < 1")
        problem(locked.http.get("/v1/count", headers=bearer(signed)), 401, "key-refused")


def test_unknown_keys_are_compared_like_known_ones(
    keys: KeyFile, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []

    def watched(a: str, b: str) -> bool:
        compared.append((len(a), len(b)))
        return compare(a, b)

    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", watched)
    keys.access(texts["search"])
    for text in ("sk_000000000000_AAAA", texts["search"][:-3] + "xyz"):
        with pytest.raises(Exception, match="key is not known"):
            keys.access(text)
    assert compared == [(64, 64)] * 3


def test_a_revoked_key_and_those_signed_with_it_are_refused_at_once(locked: Served, keys: KeyFile) -> None:
    text, key = keys.create("for a while", "write")
    signed = sign_key(text, where='label == "bag"')
    for given in (text, signed):
        assert locked.http.get("/v1/count", headers=bearer(given)).status_code == 200
    KeyFile(keys._path).revoke(key.id)  # as another process does
    for given in (text, signed):
        problem(locked.http.get("/v1/count", headers=bearer(given)), 401, "key-refused")


def test_keys_end_when_they_were_made_to(locked: Served, keys: KeyFile) -> None:
    now = time.time()
    over, _ = keys.create("over", expires=now - 1)
    good, _ = keys.create("good", expires=now + 600)
    lasting, _ = keys.create("lasting")
    cases = {
        over: False,
        sign_key(over, where="price < 5", expires=now + 600): False,
        sign_key(over, where="price < 5"): False,
        good: True,
        sign_key(good, where="price < 5", expires=now + 10_000): True,
        sign_key(good, where="price < 5", expires=now - 1): False,
        sign_key(lasting, where="price < 5", expires=now - 1): False,
        sign_key(lasting, where="price < 5"): True,
    }
    for text, allowed in cases.items():
        assert locked.http.get("/v1/count", headers=bearer(text)).status_code == (200 if allowed else 401)


def test_a_signed_key_searches_its_pictures_only_whatever_its_parent_may(locked: Served, texts: dict[str, str]) -> None:
    signed = bearer(sign_key(texts["admin"], where='label == "bag"'))
    assert locked.http.get("/v1/count", headers=signed).json() == {"count": 10}
    problem(locked.http.post("/v1/pictures/delete", json={"where": "price < 1"}, headers=signed), 403, "scope-missing")
    problem(locked.http.get("/metrics", headers=signed), 403, "scope-missing")


def test_a_signed_key_of_a_key_with_a_filter_has_both(locked: Served, keys: KeyFile) -> None:
    text, _ = keys.create("bags", where='label == "bag"')
    assert locked.http.get("/v1/count", headers=bearer(text)).json() == {"count": 10}
    for where, count in (('label == "coat"', 0), ('label == "coat" or label == "bag"', 10), ("price >= 0", 10)):
        signed = sign_key(text, where=where)
        assert locked.http.get("/v1/count", headers=bearer(signed)).json() == {"count": count}


def test_a_signed_key_that_was_changed_is_refused(locked: Served, texts: dict[str, str]) -> None:
    signed = sign_key(texts["search"], where='label == "bag"', expires=time.time() + 600)
    body, _, signature = signed.removeprefix("st_").partition(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))

    def forged(**change: object) -> str:
        text = base64.urlsafe_b64encode(json.dumps({**claims, **change}, separators=(",", ":")).encode()).decode().rstrip("=")
        return f"st_{text}.{signature}"

    assert locked.http.get("/v1/count", headers=bearer(forged())).status_code == 200
    other = base64.urlsafe_b64encode(bytes(64)).decode().rstrip("=")
    changed = [
        forged(where="price >= 0"),
        forged(where=None),
        forged(expires=None),
        forged(expires=1e300),
        forged(key="000000000000"),
        forged(key=None),
        forged(key=["x"]),
        forged(scope="admin"),
        f"st_{body}.",
        f"st_{body}",
        f"st_{body}.{other}",
        f"st_{body}.{signature[:-4]}",
        f"st_{body}.{signature}.{signature}",
        f"st_.{signature}",
        f"st_{body}=.{signature}",
    ]
    for text in changed:
        problem(locked.http.get("/v1/count", headers=bearer(text)), 401, "key-refused")


def test_one_key_signs_for_no_other(locked: Served, keys: KeyFile, texts: dict[str, str]) -> None:
    text, _ = keys.create("mine", where='label == "bag"')
    other = next(one for one in keys.keys() if one.name == "search")  # noqa: SIM118
    impostor = f"sk_{other.id}_{text.split('_', 2)[2]}"
    problem(locked.http.get("/v1/count", headers=bearer(impostor)), 401, "key-refused")
    problem(locked.http.get("/v1/count", headers=bearer(sign_key(impostor, where="price >= 0"))), 401, "key-refused")


def test_what_makes_no_key_is_refused(keys: KeyFile, texts: dict[str, str]) -> None:
    for name in ("", "x" * 101, "a\nb", "\x1b[2J"):
        with pytest.raises(InvalidInput, match="printable"):
            keys.create(name)
    with pytest.raises(InvalidInput, match="scope 'root'"):
        keys.create("x", "root")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="searches only"):
        keys.create("x", "write", where="price < 3")
    with pytest.raises(InvalidInput, match="already"):
        keys.create("search")
    with pytest.raises(InvalidInput):
        keys.create("x", where="price <")
    with pytest.raises(InvalidInput, match="none of that name"):
        keys.revoke("nobody")
    for bad in ("", "sk_x", "st_x", texts["search"][:-5]):
        with pytest.raises(InvalidInput, match="expected a whole one"):
            sign_key(bad, where="price < 3")
    with pytest.raises(InvalidInput):
        sign_key(texts["search"], where="price <")
    with pytest.raises(InvalidInput, match="no place"):
        sign_key(texts["search"], where=" or ".join(f"price == {number}" for number in range(1000)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": 3}', '{"keys": [{"id": 1}]}', '{"keys": [3]}', "\x00"])
def test_a_damaged_file_lets_nobody_in(own_shop: Database, tmp_path: Path, text: str) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    good, _ = keys.create("good")
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(StoreError, match=r"keys.*make them again"):
        KeyFile(tmp_path / "keys.json").keys()
    with pytest.raises(StoreError):
        keys.access(good)
    (tmp_path / "keys.json").unlink()
    assert KeyFile(tmp_path / "keys.json").keys() == []


def test_a_file_that_is_damaged_while_it_serves_is_told_in_the_log_only(
    own_shop: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    good, _ = keys.create("good")
    kept = (tmp_path / "keys.json").read_bytes()
    with serving(own_shop, ServiceSettings(cache=tmp_path / "cache"), keys=keys) as served:
        assert served.http.get("/v1/count", headers=bearer(good)).status_code == 200
        (tmp_path / "keys.json").write_text("{")
        for given in (good, "sk_guessed", sign_key(good, where="price > 1")):
            told = served.http.get("/v1/count", headers=bearer(given))
            assert "keys.json" not in told.text
            assert str(tmp_path) not in told.text
            problem(told, 503, "keys-unavailable")
        assert [one.levelname for one in caplog.records if "keys.json" in one.getMessage()] == ["ERROR"]
        (tmp_path / "keys.json").write_bytes(kept)
        assert served.http.get("/v1/count", headers=bearer(good)).status_code == 200


def test_the_commands_make_list_sign_and_revoke(tmp_path: Path) -> None:
    file = ["--keys", str(tmp_path / "keys.json")]

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(semblant, ["keys", *words])
        assert result.exit_code == code, result.output
        return result.output.strip()

    text = run("create", "shop", *file, "--scope", "write", "--expires", "30m")
    bags = run("create", "bags", *file, "--where", 'label == "bag"')
    assert text.startswith("sk_")
    assert text not in (tmp_path / "keys.json").read_text()
    listed = json.loads(run("list", *file, "--json"))
    assert [(one["name"], one["scope"], one["where"]) for one in listed] == [
        ("bags", "search", 'label == "bag"'),
        ("shop", "write", None),
    ]
    assert 1700 < KeyFile(tmp_path / "keys.json").keys()[1].expires - time.time() <= 1800  # type: ignore[operator]
    assert "shop" in run("list", *file)
    signed = run("sign", "--key", text, "--where", "price < 3", "--expires", "12h")
    access = KeyFile(tmp_path / "keys.json").access(signed)
    assert (access.scope, access.key) == ("search", "shop (signed)")
    assert "is revoked" in run("revoke", "shop", *file)
    assert KeyFile(tmp_path / "keys.json").access(bags).key == "bags"
    for given in (text, signed):
        with pytest.raises(Exception, match="not known"):
            KeyFile(tmp_path / "keys.json").access(given)
    for wrong in ("0s", "3", "1.5h", "x", "-3d", "9999999d"):
        assert "expected a time" in run("create", "x", *file, f"--expires={wrong}", code=2)
    run("revoke", "nobody", *file, code=2)
    run("create", "bags", *file, code=2)
    run("create", "y", code=2)
