"""A source that lies elsewhere than it did: its pictures are not to be indexed a second time, under other names."""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from semblant_search.collection import uri_path
from semblant_search.errors import InvalidInput
from semblant_search.shown import without_users
from semblant_search.sources import local_root, pictures_of, same_place
from semblant_search.store.names import without_password
from semblant_search.writing.relocating import content_state, moved_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from semblant_search.sources import SourceRecord
    from semblant_search.store import Store

    from .job import IndexJob
    from .ledger import Ledger

__all__ = ["as_known", "check_not_moved", "note_moved"]

_READ, _READ_OF_ARCHIVES = 100, 3
"""Files of which the contents are compared; a member of an archive takes reading all of it."""


def as_known(job: IndexJob, scope: str, known: Iterable[SourceRecord]) -> IndexJob | None:
    """The same job by the root that the collection knows of the same folder: a link leads to it, or it is mounted twice.

    None where it is that root, is of no known source, or was given another name: then it is a source of its own.
    """
    records, here = list(known), uri_path(scope) if scope.startswith("file:") and "#" not in scope else None
    if here is None or any(record.root == scope for record in records):
        return None
    for record in records:
        root = local_root(record)
        if root is None or job.source_name not in (None, record.name) or scope.endswith("/") is not record.root.endswith("/"):
            continue
        if same_place(here, root) if scope.endswith("/") else here.name == root.name and same_place(here.parent, root.parent):
            return dataclasses.replace(job, source=str(root))
    return None


def check_not_moved(
    job: IndexJob, record: SourceRecord, known: Iterable[SourceRecord], store: Store, ledger: Ledger
) -> list[str]:
    """Before a source is indexed the first time: whether its pictures are those of another one, whose root is gone.

    Args:
        job: what to do.
        record: of its source.
        known: the records of the collection.
        store: the generation that it is about to write.
        ledger: with the scan.

    Returns:
        Notes, where the job has a name for the source, which says that it is another one.

    Raises:
        InvalidInput: it holds the pictures of a source that is gone; nothing was written.
    """
    if record.scanned_at is not None or not record.root.startswith("file:"):
        return []
    for other in _gone(record, known):
        if other.root.endswith("/") is not record.root.endswith("/"):
            continue
        pictures = [
            (place, sha256) for uri, sha256 in _contents(store, other) if (place := moved_uri(uri, other.root, record.root))
        ]
        there = set(ledger.scanned(place for place, _ in pictures))
        found = [(place, sha256) for place, sha256 in pictures if place in there]
        looked_at = found[:: max(1, len(found) // (_READ_OF_ARCHIVES if "#" in str(found[:1]) else _READ))]
        same = sum(content_state(place, sha256) == "renamed" for place, sha256 in looked_at)
        if not looked_at or 2 * len(found) * same <= len(pictures) * len(looked_at):
            continue
        what = (
            f"{record.root} holds the pictures of source {other.name!r}, whose {other.root} is not there now, or not on this "
            f"machine: {len(found):,} of its {len(pictures):,} have the same names below both, and the same contents where "
            "they were looked at"
        )
        command = _relocate(job, other, record.root)
        if job.source_name is not None:
            return [f"{what}. If they moved, `{command}` makes the two sources one"]
        raise InvalidInput(
            f"{what}. They would be in the collection twice; nothing was written. If they moved: {command} (vectors and "
            "metadata stay), and index again. If this is another source all the same, give it a name of its own (--source NAME)"
        )
    return []


def note_moved(job: IndexJob, record: SourceRecord, known: Iterable[SourceRecord], store: Store, ledger: Ledger) -> list[str]:
    """After a source was indexed the first time: a note for each one that is gone, and whose files came to lie within it.

    Args are those of `check_not_moved`; `record` is from before, and the ledger says what is indexed.
    """
    notes: list[str] = []
    if record.scanned_at is not None or not record.root.startswith("file:"):
        return notes
    mine: dict[str, list[str]] | None = None
    for other in _gone(record, known):
        if mine is None:
            mine = _by_content(ledger.contents())
        contents = list(_contents(store, other))
        roots = Counter(root for uri, sha256 in contents for root in _roots_of(uri, other, mine.get(str(sha256), ())))
        root, count = next(iter(roots.most_common(1)), ("", 0))
        if count * 2 > len(contents) and root != record.root:
            notes.append(
                f"{count:,} of the {len(contents):,} pictures of source {other.name!r}, whose {other.root} is not there now, "
                f"or not on this machine, are in this source as well, below {root}. If they moved, "
                f"`{_relocate(job, other, root)}` makes them one each"
            )
    return notes


def _gone(record: SourceRecord, known: Iterable[SourceRecord]) -> Iterator[SourceRecord]:
    """The other sources whose roots are not there, or are empty, as where a disk is mounted no more."""
    for other in known:
        root = local_root(other) if other.id != record.id else None
        try:
            if root is not None and not _is_there(root, folder=other.root.endswith("/")):
                yield other
        except (OSError, ValueError):  # nobody may look there
            continue


def _is_there(root: Path, *, folder: bool) -> bool:
    if folder:
        return root.is_dir() and any(root.iterdir())
    return root.is_file() or (any(character in root.name for character in "*?[") and any(root.parent.glob(root.name)))


def _contents(store: Store, record: SourceRecord) -> Iterator[tuple[str, object]]:
    for one in store.scroll(where=pictures_of(record.id), fields=["_uri", "_sha256"]):
        yield str(one.payload.get("_uri")), one.payload.get("_sha256")


def _by_content(contents: Mapping[str, str | None]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for uri, sha256 in contents.items():
        if sha256 is not None:
            found.setdefault(sha256, []).append(uri)
    return found


def _roots_of(uri: str, other: SourceRecord, copies: Iterable[str]) -> set[str]:
    """The folders that a folder's picture would have come from, were it one of these."""
    if not other.root.endswith("/") or not uri.startswith(other.root):
        return set()
    below = uri[len(other.root) :]
    return {copy[: -len(below)] for copy in copies if copy.endswith(f"/{below}")}


def _relocate(job: IndexJob, other: SourceRecord, root: str) -> str:
    """The command that follows a source to its new root, to be pasted into a shell."""
    path = uri_path(root)
    words = ["semblant", "sources", "relocate", other.name, root if path is None else str(path)]
    if without_password(job.db) == job.db:
        words += ["--db", job.db]
    if job.collection != "images":
        words += ["--collection", job.collection]
    return without_users(shlex.join(words))
