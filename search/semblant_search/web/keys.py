"""Keys: secrets that let a program in, kept as what recognizes them, and keys for some pictures that are signed with one.

A key is `sk_<id>_<secret>`. Its file holds the SHA-256 of the secret, which is random and long, and the Ed25519 public key of
which the secret is the seed: who reads the file can neither come in nor sign. A signed key, `st_<claims>.<signature>`, is made
of a key without the service, as a web shop makes one for each of its customers; it searches, within its filter, until it
expires, and no longer than its parent is there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from filelock import FileLock

from semblant_search.errors import InvalidInput, StoreError
from semblant_search.json_models import MAY_BE_MISSING, parse_object, read_model, write_model
from semblant_search.shown import shown
from semblant_search.store.files import write_atomic
from semblant_search.where import And, as_where

from .access import SCOPES, Access, Scope
from .problems import ServiceError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from semblant_search.where import Where

__all__ = ["Key", "KeyFile", "sign_key"]

_KEY, _SIGNED = "sk_", "st_"
_SECRET_BYTES = 32
_MOST = 4096
"""Characters of a key; a signed one holds a filter."""
_NOBODY = "0" * 64


@dataclass(frozen=True)
class Key:
    """What the service keeps of a key.

    Attributes:
        id: part of the key; no secret.
        name: what people call it.
        scope: what it allows.
        sha256: of the secret.
        public: the Ed25519 public key of the secret, in hexadecimal.
        where: a filter: the pictures that there are for it; None for all.
        created: RFC 3339, UTC.
        expires: seconds since 1970, or None.
    """

    id: str
    name: str
    scope: Scope
    sha256: str
    public: str
    created: str
    where: str | None = field(default=None, metadata=MAY_BE_MISSING)
    expires: float | None = field(default=None, metadata=MAY_BE_MISSING)


class KeyFile:
    """The keys of a service, in a file that only its owner reads; changes of it count at once. Thread- and process-safe."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = FileLock(f"{path}.lock")
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def keys(self) -> list[Key]:
        """All of them, by name. Raises `StoreError` for a file that is damaged, or cannot be read."""
        self._read()
        return sorted(self._keys.values(), key=lambda key: (key.name, key.id))

    def create(
        self, name: str, scope: Scope = "search", *, where: str | None = None, expires: float | None = None
    ) -> tuple[str, Key]:
        """Make a key: its text, which is told once, and what is kept.

        Args:
            name: what people call it; no other key's.
            scope: `search` reads, `write` changes pictures, too, `admin` everything.
            where: a filter: the pictures that there are for it. Only for `search`.
            expires: seconds since 1970.
        """
        if scope not in SCOPES:
            raise InvalidInput(f"scope {shown(scope)}: expected one of {', '.join(SCOPES)}")
        if not name or not name.isprintable() or len(name) > 100:
            raise InvalidInput(f"name {shown(name)}: expected 1 to 100 printable characters")
        if where is not None and scope != "search":
            raise InvalidInput(f"a key with a filter searches only: it cannot have the scope {scope!r}")
        as_where(where)
        id, secret = secrets.token_hex(6), secrets.token_bytes(_SECRET_BYTES)
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        public = Ed25519PrivateKey.from_private_bytes(_seed(secret)).public_key().public_bytes_raw().hex()
        key = Key(id, name, scope, hashlib.sha256(secret).hexdigest(), public, created, where, expires)
        with self._changing():
            if any(other.name == name for other in self._keys.values()):
                raise InvalidInput(f"there is a key {name!r} already; revoke it, or take another name")
            self._write({**self._keys, id: key})
        return f"{_KEY}{id}_{_text(secret)}", key

    def revoke(self, name: str) -> Key:
        """Delete a key, by its name or id; keys that were signed with it are refused from then on, too."""
        with self._changing():
            found = [key for key in self._keys.values() if name in (key.name, key.id)]
            if not found:
                known = ", ".join(sorted(key.name for key in self._keys.values())) or "none"
                raise InvalidInput(f"key {shown(name)}: there is none of that name or id (there are: {known})")
            self._write({id: key for id, key in self._keys.items() if key != found[0]})
        return found[0]

    def access(self, given: str) -> Access:
        """What a key allows. Raises `ServiceError` for one that is not known, has expired, or was changed."""
        self._read()
        if given.startswith(_SIGNED) and len(given) <= _MOST:
            return self._signed(given)
        id, _, secret = given.removeprefix(_KEY).partition("_")
        key = self._keys.get(id)
        told = hashlib.sha256(_bytes(secret)).hexdigest()
        # Compared in the same time whether or not there is such a key.
        right = hmac.compare_digest(told, _NOBODY if key is None else key.sha256)
        if key is None or not right or not given.startswith(_KEY) or _is_over(key.expires):
            raise _refused()
        return Access(key.scope, None if key.where is None else _parsed(key.where), key.name)

    def _signed(self, given: str) -> Access:
        body, _, signature = given.removeprefix(_SIGNED).partition(".")
        try:
            claims = json.loads(_bytes(body))
            key = self._keys[claims["key"]]
            where, expires = claims["where"], claims["expires"]
            if not isinstance(where, str) or not (expires is None or isinstance(expires, (int, float))):
                raise ValueError(claims)
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public)).verify(_bytes(signature), body.encode())
            own = _parsed(where)
        except (ValueError, TypeError, KeyError, RecursionError, InvalidSignature) as error:
            raise _refused() from error
        if _is_over(expires) or _is_over(key.expires):
            raise _refused()
        return Access("search", own if key.where is None else And((_parsed(key.where), own)), f"{key.name} (signed)")

    def _read(self) -> None:
        try:
            facts = self._path.stat()
            seen = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if seen == self._seen:
                return
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._keys, self._seen = {}, None
            return
        except OSError as error:
            raise StoreError(f"keys {str(self._path)!r} cannot be read: {error.strerror or error}") from error
        said: dict[str, Any] = {"what": f"keys {str(self._path)!r}", "error": StoreError, "advice": "make them again"}
        listed = parse_object(data, **said).get("keys")
        if not isinstance(listed, list):
            raise StoreError(f"{said['what']}: expected a list of keys; make them again")
        keys = [read_model(Key, facts, **said) for facts in listed]
        self._keys, self._seen = {key.id: key for key in keys}, seen

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._read()
            yield

    def _write(self, keys: dict[str, Key]) -> None:
        data = json.dumps({"keys": [write_model(key) for key in keys.values()]}, indent=1).encode()
        write_atomic(self._path, data)
        self._path.chmod(0o600)
        self._seen = None
        self._read()


def sign_key(key: str, *, where: str, expires: float | None = None) -> str:
    """A key that searches only the pictures of a filter, made of another one without the service.

    >>> sign_key("sk_…", where='tenant == "a"', expires=time.time() + 3600)  # doctest: +SKIP

    Args:
        key: a whole key, `sk_…`; it stays a secret.
        where: the pictures that there are for it, beside what `key` itself allows.
        expires: seconds since 1970; None lives as long as `key` does.

    Raises:
        InvalidInput: no key, or a filter that is none.
    """
    as_where(where)
    id, _, secret = key.removeprefix(_KEY).partition("_")
    seed = _bytes(secret)
    if not key.startswith(_KEY) or len(seed) != _SECRET_BYTES:
        raise InvalidInput("key: expected a whole one, sk_…, as `semblant keys create` told it")
    body = _text(json.dumps({"key": id, "where": where, "expires": expires}, separators=(",", ":")).encode())
    signature = Ed25519PrivateKey.from_private_bytes(_seed(seed)).sign(body.encode())
    signed = f"{_SIGNED}{body}.{_text(signature)}"
    if len(signed) > _MOST:
        raise InvalidInput(f"where of {len(where):,} characters: a key of {_MOST:,} characters has no place for it")
    return signed


def _seed(secret: bytes) -> bytes:
    """Not the secret itself, lest one use of it tell anything for the other."""
    return hashlib.sha256(b"semblant signed keys\0" + secret).digest()


@lru_cache(maxsize=1024)
def _parsed(where: str) -> Where:
    parsed = as_where(where)
    assert parsed is not None
    return parsed


def _is_over(expires: float | None) -> bool:
    return expires is not None and time.time() >= expires


def _refused() -> ServiceError:
    return ServiceError(
        "key-refused", "the key is not known, has expired, or was revoked", headers={"WWW-Authenticate": "Bearer"}
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Empty for what is no base64."""
    try:
        return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    except ValueError:
        return b""
