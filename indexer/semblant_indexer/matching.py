"""Which picture a row means whose name is written otherwise than the file's: on Windows, on a Mac, or by hand.

A row that names a picture exactly has it. For the others, unless there is a file elsewhere that they name, these are tried in
turn, each only where one row and one picture are left to each other:

1. the same path in Unicode's composed form, with slashes for backslashes;
2. the same without regard to the case of letters;
3. these, of a row that leaves the ending away (`RA-1` for `RA-1.jpg`);
4. a path that is relative to the folder of the pictures, or begins with that folder's name, wherever the table lies;
5. a bare name, without a folder, of a picture that only one folder has;
6. the last two, of a row that leaves the ending away;
7. all of these, of a row whose name is written as in an address (`a%20b.jpg` for `a b.jpg`).

Spaces around the parts of a path, which tables lose, and slashes that are doubled do not count in any of them.

What is left then may be a picture's second name, a link, in the same ways.

An absolute path that is none of this machine's is one below the folder of the pictures where it ends with a picture's (see
`other_machines`).
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import sqlite3
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from semblant_search.collection import uri_path
from semblant_search.errors import StoreError

from .other_machines import OtherRoots, elsewhere, uploaded
from .picture_names import has_picture_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FileFinder", "Matches", "UnmatchedRow", "composed", "match_rows"]

_MOST_FOLDERS = 16
"""Folders whose names are remembered."""
_AROUND_SLASHES = re.compile(r" */[/ ]*")
_MOST_UNMATCHED = 3
"""Rows that name no picture and are named themselves."""

_WAYS = ("path", "path_stem", "below", "name", "below_stem", "name_stem")
_COLUMNS = tuple(column for way in _WAYS for column in (way, f"folded_{way}"))
_SCHEMA = f"""
CREATE TEMP TABLE pictures (uri TEXT NOT NULL PRIMARY KEY, {", ".join(_COLUMNS)}) WITHOUT ROWID;
CREATE TEMP TABLE open_rows (number INTEGER PRIMARY KEY, {", ".join(_COLUMNS)});
"""
_MATCH = """
SELECT p.uri, r.number FROM temp.open_rows r JOIN temp.pictures p ON p.{way} = r.{way}
WHERE r.{way} IN (SELECT {way} FROM temp.pictures GROUP BY {way} HAVING count(*) = 1)
AND r.{way} IN (SELECT {way} FROM temp.open_rows GROUP BY {way} HAVING count(*) = 1)
"""
_NAMES_ONE = "uri IN (SELECT uri FROM temp.pictures)"


def composed(path: str) -> str:
    """A path in one spelling: Unicode's composed form, and slashes for backslashes."""
    path = path.replace("\\", "/")
    return path if path.isascii() else unicodedata.normalize("NFC", path)


class FileFinder:
    """Finds files whose names are written otherwise, part by part in their folders, as rows are matched."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def meant(self, path: Path) -> Path | None:
        """The file that a path means that does not exist; None where there is none, or more than one."""
        place, parts = Path(path.anchor), composed(str(path.relative_to(path.anchor))).split("/")
        for part in parts:
            inner = place / part
            if not inner.exists():
                names = self._names(place).get(part.casefold(), [])
                same = [name for name in names if composed(name) == part] or names
                if len(same) != 1:
                    return None
                inner = place / same[0]
            place = inner
        return place

    def _names(self, folder: Path) -> dict[str, list[str]]:
        """What is in a folder, by names without regard to case."""
        found = self._listed.get(folder)
        if found is None:
            found = {}
            with contextlib.suppress(OSError):
                for entry in folder.iterdir():
                    found.setdefault(composed(entry.name).casefold(), []).append(entry.name)
            if len(self._listed) >= _MOST_FOLDERS:
                self._listed.clear()
            self._listed[folder] = found
        return found


class Matches(NamedTuple):
    """What came of matching.

    Attributes:
        unseen: how many rows name no picture.
        first: a few of them.
        strangers: paths or URLs of the tables no row of which names a picture.
    """

    unseen: int
    first: list[UnmatchedRow]
    strangers: list[str]


class UnmatchedRow(NamedTuple):
    """A row that names no picture: path or URL of its table, its line there, and the name that it gives."""

    place: str
    line: int
    named: str


def match_rows(
    connection: sqlite3.Connection, pictures: Iterable[str], root: str, second: Callable[[], Iterable[str]] = lambda: ()
) -> Matches:
    """Let rows of `rows (uri, line, named, place)` have the URIs of the pictures that they mean.

    Args:
        connection: to the rows.
        pictures: the URIs of all pictures there are.
        root: the URI of the folder that they lie in, with a slash at the end.
        second: asked once the pictures are known for the URIs of other names of theirs, which rows may have, too.

    Raises:
        StoreError: there is no room.
    """
    try:
        connection.executescript(_SCHEMA)
        connection.execute("BEGIN")
        _add_pictures(connection, pictures)
        _match_open(connection, _plain(root))
        if _add_pictures(connection, second()):
            _match_open(connection, _plain(root))
        _match_open(connection, _plain(root), as_address=True)
        tables = f"SELECT place, count(*), sum({_NAMES_ONE}) FROM rows GROUP BY place ORDER BY min(rowid)"
        counts = connection.execute(tables).fetchall()
        first = f"SELECT place, line, named FROM rows WHERE NOT {_NAMES_ONE} ORDER BY rowid LIMIT {_MOST_UNMATCHED}"
        unmatched = [UnmatchedRow(*row) for row in connection.execute(first)]
        connection.execute("COMMIT")
        connection.executescript("DROP TABLE temp.pictures; DROP TABLE temp.open_rows;")
    except sqlite3.Error as error:
        raise StoreError(
            f"a metadata table cannot be kept in a temporary file: {error}; make room in the folder for temporary files, "
            "or choose another one (TMPDIR)"
        ) from error
    unseen = sum(rows - matched for _, rows, matched in counts)
    return Matches(unseen, unmatched, [str(place) for place, _, matched in counts if not matched])


def _add_pictures(connection: sqlite3.Connection, uris: Iterable[str]) -> int:
    """Returns how many there are."""
    insert = "INSERT OR IGNORE INTO temp.pictures (uri) VALUES (?)"
    return connection.executemany(insert, ((uri,) for uri in uris)).rowcount


def _match_open(connection: sqlite3.Connection, folder: str, *, as_address: bool = False) -> None:
    """Let the rows that name no picture by its URI find theirs; `folder` is a path in one spelling.

    `as_address`: only those whose names are written as in an address, by what they mean there.
    """
    rest = connection.execute(f"SELECT rowid, uri, named FROM rows WHERE NOT {_NAMES_ONE}").fetchall()
    rest = [row for row in rest if not _is_elsewhere(row[1])]
    if as_address:
        rest = [(number, unquote(uri), unquote(named)) for number, uri, named in rest if unquote(named) != named]
        connection.executemany("DELETE FROM temp.open_rows WHERE number = ?", ((row[0],) for row in rest))
    if not rest:
        return
    insert = f"INSERT OR IGNORE INTO temp.open_rows VALUES ({', '.join('?' * (1 + len(_COLUMNS)))})"
    roots = _other_roots(connection, [composed(named) for _, _, named in rest], folder)
    rows = [_row(number, uri, named, folder, roots) for number, uri, named in rest]
    connection.executemany(insert, rows)
    _match(connection, folder, [set(values) - {None} for values in zip(*(row[1:] for row in rows), strict=True)])


def _match(connection: sqlite3.Connection, folder: str, named: list[set[int | str | None]]) -> None:
    """Of the pictures only those are compared that a row may mean: `named` are the rows' values of each column."""
    uris = connection.execute("SELECT uri FROM temp.pictures").fetchall()
    ways = ((_ways_of(uri, folder), uri) for (uri,) in uris)
    meant = ((*way, uri) for way, uri in ways if any(value in those for value, those in zip(way, named, strict=True)))
    update = f"UPDATE temp.pictures SET {', '.join(f'{column} = ?' for column in _COLUMNS)} WHERE uri = ?"
    connection.executemany(update, meant)
    for way in _COLUMNS:
        connection.execute(f"CREATE INDEX IF NOT EXISTS temp.by_{way} ON pictures ({way})")
        found = connection.execute(_MATCH.format(way=way)).fetchall()
        connection.executemany("UPDATE OR IGNORE rows SET uri = ? WHERE rowid = ?", found)
        connection.execute(f"DELETE FROM temp.open_rows WHERE number IN (SELECT rowid FROM rows WHERE {_NAMES_ONE})")
        if not connection.execute("SELECT 1 FROM temp.open_rows LIMIT 1").fetchone():
            break


def _is_elsewhere(uri: str) -> bool:
    path = uri_path(uri)
    return path is not None and os.path.lexists(path)


def _ways_of(uri: str, folder: str) -> tuple[str | None, ...]:
    path = _plain(uri)
    below = path.removeprefix(folder)
    stem = posixpath.splitext(below)[0]
    return _in_cases(path, posixpath.splitext(path)[0], below, below.rpartition("/")[2], stem, stem.rpartition("/")[2])


def _other_roots(connection: sqlite3.Connection, named: list[str], folder: str) -> OtherRoots:
    paths = OtherRoots.sample(filter(None, map(elsewhere, named)))
    last = {path.rpartition("/")[2].casefold() for path in paths}
    below: set[str] = set()
    if paths:
        for (uri,) in connection.execute("SELECT uri FROM temp.pictures"):
            path = _plain(uri).removeprefix(folder).casefold()
            if path.rpartition("/")[2] in last:
                below.add(path)
    return OtherRoots(paths, below)


def _row(number: int, uri: str, named: str, folder: str, roots: OtherRoots) -> tuple[int | str | None, ...]:
    """Only a row without any folder has a bare name, and only a relative one is below some folder."""
    path = _plain(uri)
    below = composed(named)
    if elsewhere(below) is None and "://" not in below:
        below = _tidy(below)
    below = below.removeprefix("./").removeprefix(folder.rstrip("/").rpartition("/")[2] + "/")
    if (given := uploaded(below)) is not None:
        below = given
    elif (absolute := elsewhere(below)) is not None:
        below = roots.below(absolute) or below
    name = None if "/" in below else below
    if has_picture_suffix(below):
        return number, *_in_cases(path, None, below, name, None, None)
    return number, *_in_cases(path, path, below, name, below, name)


def _in_cases(*ways: str | None) -> tuple[str | None, ...]:
    """Each as it is, and without regard to case."""
    return tuple(each for way in ways for each in (way, None if way is None else way.casefold()))


def _plain(uri: str) -> str:
    """The path of a URI in one spelling."""
    path = composed(unquote(uri, errors="surrogateescape"))
    return _tidy(path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _tidy(path: str) -> str:
    """Without spaces around its parts, and with single slashes."""
    return _AROUND_SLASHES.sub("/", path.strip()) if " " in path or "//" in path else path
