"""The ledger as an object: every statement that reads or changes it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from .file import LedgerFile
from .rows import Todo
from .schema import ARRIVED, GONE, IS_ACCEPTED, JOIN, MINE, PASSING, READ_ALL, SAME, SAME_METADATA, TODO

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from semblant_search.sources import SourceRecord

    from .rows import Entry


_TABLES = (("items", "generation"), ("sources", "generation"), ("arrivals", "generation"), ("generations", "name"))


class Ledger(LedgerFile):
    """The ledger of one collection and the scan of one run. One writer at a time; methods may be called from any thread."""

    @property
    def revision(self) -> str | None:
        """The revision of the source that this ledger knows last; None for a source that it does not know."""
        rows = self._execute("SELECT revision FROM ledger.sources WHERE generation = :generation AND id = :source")
        return str(rows[0][0]) if rows else None

    def set_revision(self, source: SourceRecord) -> None:
        """Note the revision that this run makes."""
        self._execute(
            "REPLACE INTO ledger.sources VALUES (:generation, :source, :name, :root, :revision)",
            name=source.name,
            root=source.root,
            revision=source.revision,
        )

    def forget_other_generations(self, keep: Sequence[str]) -> None:
        """Drop the rows of generations that no longer exist."""
        marks = ",".join(f"'{name}'" for name in keep)
        for table, column in _TABLES:
            self._execute(f"DELETE FROM ledger.{table} WHERE {column} NOT IN ({marks})")

    def forget_removed_sources(self, known: Container[str]) -> None:
        """Drop what is said of sources that the generation knows no longer; rows from before there were ids stay."""
        rows = self._execute("SELECT id FROM ledger.sources WHERE generation = :generation AND id <> :source")
        for (id,) in rows:
            if id not in known:
                for table, column in (("items", "source"), ("arrivals", "source"), ("sources", "id")):
                    self._execute(f"DELETE FROM ledger.{table} WHERE generation = :generation AND {column} = :id", id=id)
                self._execute("DELETE FROM ledger.accepted WHERE source = :id", id=id)

    def sample(self, count: int, seed: int) -> list[str]:
        """Where to read up to `count` pictures of the scan, the same ones for the same scan and seed."""
        # A multiplicative hash of the position: cheap, seeded, and spread over the whole scan.
        rows = self._execute(
            "SELECT uri, place FROM scan WHERE outcome IS NULL "
            "ORDER BY (seq * 2654435761 + :seed * 2246822519) % 4294967296 LIMIT :count",
            seed=seed,
            count=count,
        )
        return [Todo(uri, -1, -1, "{}", "", place=place).where for uri, place in rows]

    def settle_problems(self) -> None:
        """Enter the problems that the source itself found. A picture that is out of reach keeps its point."""
        self._execute(
            "REPLACE INTO ledger.items SELECT :generation, s.uri, s.size, s.mtime_ns, i.sha256, i.metadata, s.outcome, "
            f"s.reason, s.message, coalesce(i.point, 0), :run, coalesce(i.written, 0), :source {JOIN} "
            "WHERE s.outcome IS NOT NULL"
        )

    def note_arrivals(self) -> None:
        """Remember the pictures of the scan that have no point, where others are gone: those may have moved here.

        Kept in the file, because a run may be killed between the new point and the end of the old one.
        """
        self._execute(
            f"INSERT OR IGNORE INTO ledger.arrivals SELECT :generation, :source, s.uri {JOIN} "
            "WHERE s.outcome IS NULL AND NOT coalesce(i.point, 0) "
            f"AND EXISTS (SELECT 1 FROM ledger.items WHERE {GONE} AND point)"
        )

    def settle_arrivals(self, *, complete: bool) -> None:
        """Forget them at the end of a run; after an incomplete scan, which moves nothing, only those of no gone picture."""
        spared = f"sha256 IN (SELECT sha256 FROM ledger.items WHERE {GONE} AND point)"
        self._execute(
            f"DELETE FROM ledger.arrivals WHERE {MINE} AND (:complete OR uri NOT IN "
            f"(SELECT uri FROM ledger.items WHERE {MINE} AND {spared}))",
            complete=complete,
        )

    def note_vanished(self) -> None:
        """Find the pictures that this source no longer holds, or that others hold, if there are new files of their content."""
        new = self._execute(f"SELECT 1 {JOIN} WHERE s.outcome IS NULL AND i.uri IS NULL LIMIT 1")
        if new:
            self._execute(
                "INSERT INTO vanished SELECT uri, size, sha256, source <> :source FROM ledger.items "
                "WHERE generation = :generation AND point AND sha256 IS NOT NULL AND uri NOT IN (SELECT uri FROM scan)"
            )
            self._execute("CREATE INDEX vanished_size ON vanished (size)")

    def lenders(self) -> Iterator[list[tuple[str, str]]]:
        """URI and content of other sources' pictures of the size of a new one, which may save its encoding; in parts.

        What this ledger says of them may be out of date; `no_lenders` strikes out those that are gone.
        """
        query = (
            "SELECT DISTINCT v.uri, v.sha256 FROM vanished v WHERE v.foreign_source AND v.uri > :last "
            f"AND v.size IN (SELECT s.size {JOIN} WHERE s.outcome IS NULL AND i.uri IS NULL) ORDER BY v.uri LIMIT 1000"
        )
        last = ""
        while rows := self._execute(query, last=last):
            yield [(str(uri), str(sha256)) for uri, sha256 in rows]
            last = rows[-1][0]

    def no_lenders(self, uris: Sequence[str]) -> None:
        """Other sources' pictures that are not what this ledger says."""
        self._many("DELETE FROM vanished WHERE foreign_source AND uri = ?", [(uri,) for uri in uris])

    def vanished(self, sha256: str) -> list[str]:
        """URIs of vanished files of this content."""
        return [row[0] for row in self._execute("SELECT uri FROM vanished WHERE sha256 = :sha256", sha256=sha256)]

    def settled(self) -> dict[str, int]:
        """Pictures of the scan that need no look, by outcome; those that came twice are skipped."""
        counts = {
            str(outcome): int(count)
            for outcome, count in self._execute(f"SELECT i.outcome, count(*) {JOIN} WHERE NOT ({TODO}) GROUP BY 1")
        }
        return {**counts, "skipped": counts.get("skipped", 0) + self.repeated}

    def count_todo(self) -> int:
        """How many pictures `todo` yields."""
        return int(self._execute(f"SELECT count(*) {JOIN} WHERE {TODO}")[0][0])

    def todo(self, chunk: int = 2000) -> Iterator[Todo]:
        """Pictures to look at, in the order of the source."""
        query = (
            "SELECT s.seq, s.uri, s.size, s.mtime_ns, s.payload, s.metadata, CASE WHEN i.point THEN i.sha256 END, "
            f"coalesce(i.outcome = 'indexed' AND NOT :verify AND {SAME} AND {READ_ALL}, 0), coalesce({SAME_METADATA}, 0), "
            f"s.place, coalesce(i.point AND i.metadata IS NULL, 0) {JOIN} WHERE s.seq > :last AND {TODO} "
            "ORDER BY s.seq LIMIT :chunk"
        )
        last, any_vanished = -1, bool(self._execute("SELECT 1 FROM vanished LIMIT 1"))
        while rows := self._execute(query, last=last, chunk=chunk):
            elsewhere = self._vanished_of_size({row[2] for row in rows}) if any_vanished else {}
            for row in rows:
                _, uri, size, mtime_ns, payload, metadata, sha256, same_file, same_metadata, place, unknown = row
                same = bool(same_file), bool(same_metadata)
                contents = elsewhere.get(size, frozenset())
                yield Todo(uri, size, mtime_ns, payload, metadata, sha256, *same, contents, place, bool(unknown))
            last = rows[-1][0]

    def _vanished_of_size(self, sizes: set[int]) -> dict[int, frozenset[str]]:
        marks = ",".join(map(str, sizes))
        found: dict[int, set[str]] = {}
        for size, sha256 in self._execute(f"SELECT size, sha256 FROM vanished WHERE size IN ({marks})"):
            found.setdefault(size, set()).add(sha256)
        return {size: frozenset(contents) for size, contents in found.items()}

    def record(self, entries: Sequence[Entry], *, seen: bool = True) -> None:
        """Enter what became of some pictures, in one transaction; `seen` says that this run is done with them."""
        values = self._values
        rows = [
            (
                values["generation"],
                *entry[:8],
                entry.point,
                values["run"] if seen else 0,
                values["run"] if entry.written else 0,
                values["source"],
            )
            for entry in entries
        ]
        self._many("REPLACE INTO ledger.items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def forget_without_file(self) -> None:
        """Remove what the ledger says of pictures that this source holds no longer, but for their points.

        That they failed is of no interest any more; a picture whose point is left is looked at again should it come back.
        """
        gone = f"{MINE} AND uri NOT IN (SELECT uri FROM scan)"
        self._execute(f"DELETE FROM ledger.items WHERE NOT point AND {gone}")
        self._execute(
            "UPDATE ledger.items SET outcome = 'indexed', reason = NULL, message = NULL, size = -1, mtime_ns = -1 "
            f"WHERE outcome IN ('failed', 'skipped') AND {gone}"
        )

    def removed(self) -> list[tuple[str, bool]]:
        """URIs that this source held once and holds no longer, and whether each has a point."""
        rows = self._execute(f"SELECT uri, point FROM ledger.items WHERE {MINE} AND uri NOT IN (SELECT uri FROM scan)")
        return [(str(uri), bool(point)) for uri, point in rows]

    def moved(self) -> list[str]:
        """Of `removed`, those whose content has a point under a URI of the source that had none.

        Of a copy that was there before nothing moved: the other one may be on a disk that is not mounted.
        """
        rows = self._execute(f"SELECT uri FROM ledger.items WHERE {GONE} AND sha256 IN {ARRIVED}")
        return [str(row[0]) for row in rows]

    def turned_bad(self) -> list[str]:
        """URIs of the scan that have a point, though their files hold no picture any more."""
        rows = self._execute(
            f"SELECT uri FROM ledger.items WHERE {MINE} AND point AND outcome = 'failed' "
            f"AND reason NOT IN ({PASSING}) AND uri IN (SELECT uri FROM scan) ORDER BY uri"
        )
        return [str(row[0]) for row in rows]

    def unknown(self) -> Iterator[list[str]]:
        """URIs of the scan that have no row, in parts."""
        query = (
            f"SELECT s.seq, s.uri {JOIN} WHERE s.seq > :last AND s.outcome IS NULL AND i.uri IS NULL ORDER BY s.seq LIMIT 1000"
        )
        last = -1
        while rows := self._execute(query, last=last):
            yield [str(uri) for _, uri in rows]
            last = rows[-1][0]

    def forget_metadata(self, about: str = "") -> None:
        """What this ledger knows of the metadata of this source may be out of date: look at all of it.

        `about` is how the URIs of the pictures begin that this is true of.
        """
        mine = f"{MINE} AND point AND substr(uri, 1, length(:about)) = :about"
        self._execute(f"UPDATE ledger.items SET metadata = NULL WHERE {mine}", about=about)

    def groups(self) -> Iterator[list[tuple[str, bool]]]:
        """Pictures that are byte for byte the same: URIs of each group in their order, and whether each has a point."""
        rows = self._execute(
            "SELECT i.sha256, i.uri, i.point FROM scan s "
            "JOIN ledger.items i ON i.generation = :generation AND i.source = :source AND i.uri = s.uri "
            "WHERE s.outcome IS NULL AND i.outcome IN ('indexed', 'duplicate') AND i.sha256 IN ("
            "SELECT j.sha256 FROM scan t "
            "JOIN ledger.items j ON j.generation = :generation AND j.source = :source AND j.uri = t.uri "
            "WHERE j.outcome IN ('indexed', 'duplicate') GROUP BY j.sha256 HAVING count(*) > 1) ORDER BY i.sha256, i.uri"
        )
        for _, group in itertools.groupby(rows, key=lambda row: row[0]):
            yield [(str(uri), bool(point)) for _, uri, point in group]

    def scanned(self, uris: Iterable[str]) -> list[str]:
        """Those of some URIs that the source of this run holds."""
        return [uri for uri in uris if self._execute("SELECT 1 FROM scan WHERE uri = :uri", uri=uri)]

    def knows_all(self, uris: Iterable[str]) -> bool:
        """Whether the source of this run holds all of some pictures, or held them the last time."""
        query = f"SELECT 1 FROM scan WHERE uri = :uri UNION ALL SELECT 1 FROM ledger.items WHERE {MINE} AND uri = :uri LIMIT 1"
        return all(self._execute(query, uri=uri) for uri in uris)

    def set_duplicates(self, uris: Sequence[str]) -> None:
        """Enter that these have no point of their own, because another picture of the same content has one."""
        self._many(
            "UPDATE ledger.items SET outcome = 'duplicate', point = 0 WHERE generation = ? AND source = ? AND uri = ?",
            [(self._values["generation"], self._values["source"], uri) for uri in uris],
        )

    def forget(self, uris: Sequence[str]) -> None:
        """Remove rows."""
        values = self._values
        self._many(
            "DELETE FROM ledger.items WHERE generation = ? AND source = ? AND uri = ?",
            [(values["generation"], values["source"], uri) for uri in uris],
        )

    def drop_points(self, uris: Sequence[str]) -> None:
        """Enter that these have no point any more, and what else is known of them stays true."""
        values = self._values
        self._many(
            "UPDATE ledger.items SET point = 0, sha256 = NULL, metadata = NULL WHERE generation = ? AND source = ? AND uri = ?",
            [(values["generation"], values["source"], uri) for uri in uris],
        )

    def account(self) -> dict[str, int]:
        """Pictures of the source: `indexed` (written by this run), `unchanged`, `duplicate`, `failed`, …: as in a report."""
        outcome = f"CASE WHEN i.outcome = 'failed' AND {IS_ACCEPTED} THEN 'accepted' ELSE i.outcome END"
        rows = self._execute(f"SELECT {outcome}, coalesce(i.written = :run, 0), count(*) {JOIN} GROUP BY 1, 2")
        counts = dict.fromkeys(("indexed", "unchanged", "duplicate", "failed", "accepted", "skipped"), 0)
        counts["skipped"] = self.repeated
        for outcome, written, count in rows:
            if outcome is not None:  # a picture without a row is missing from the account, which then does not add up
                counts["unchanged" if outcome == "indexed" and not written else outcome] += count
        return counts

    def points(self) -> int:
        """How many pictures of this source have a point, according to the ledger."""
        return int(self._execute(f"SELECT count(*) FROM ledger.items WHERE {MINE} AND point")[0][0])

    def contents(self) -> dict[str, str | None]:
        """The URIs of this source that have a point, according to the ledger, each with the SHA-256 of its content."""
        rows = self._execute(f"SELECT uri, sha256 FROM ledger.items WHERE {MINE} AND point")
        return {str(uri): sha256 for uri, sha256 in rows}

    def only_in(self, generation: str) -> list[str]:
        """URIs of this source that have a point in another generation, but none in this one."""
        rows = self._execute(
            "SELECT uri FROM ledger.items WHERE generation = :other AND source = :source AND point AND uri NOT IN "
            f"(SELECT uri FROM ledger.items WHERE {MINE} AND point)",
            other=generation,
        )
        return [str(row[0]) for row in rows]

    def duplicates(self) -> list[str]:
        """URIs of this source that are in another picture's point."""
        return [str(row[0]) for row in self._execute(f"SELECT uri FROM ledger.items WHERE {MINE} AND outcome = 'duplicate'")]

    def failures(self) -> Iterator[tuple[str, str, str]]:
        """URI, reason and message of the pictures of this source that failed and were not accepted, by their URIs."""
        last = ""
        query = (
            "SELECT i.uri, coalesce(i.reason, ''), coalesce(i.message, '') FROM ledger.items i "
            "WHERE i.generation = :generation AND i.source = :source AND i.outcome = 'failed' AND i.uri > :last "
            f"AND i.uri IN (SELECT uri FROM scan) AND NOT {IS_ACCEPTED} ORDER BY i.uri LIMIT 1000"
        )
        while rows := self._execute(query, last=last):
            yield from rows
            last = rows[-1][0]

    def skipped(self) -> dict[str, list[str]]:
        """Why items of the scan were skipped: what would read them, or what they are; each with their URIs."""
        found: dict[str, list[str]] = {}
        rows = self._execute(
            f"SELECT uri, message FROM ledger.items WHERE {MINE} AND outcome = 'skipped' AND message IS NOT NULL "
            "AND uri IN (SELECT uri FROM scan) ORDER BY uri"
        )
        for uri, message in rows:
            before, _, why = str(message).rpartition(": is ")
            found.setdefault(why if before else why.rpartition(": ")[2], []).append(str(uri))
        return found

    def reasons(self) -> dict[str, int]:
        """Number of failures of this source by reason, without those that were accepted."""
        return dict(
            self._execute(
                f"SELECT reason, count(*) FROM ledger.items i WHERE {MINE} AND outcome = 'failed' "
                f"AND uri IN (SELECT uri FROM scan) AND NOT {IS_ACCEPTED} GROUP BY 1 ORDER BY 1"
            )
        )

    def accepted(self) -> dict[str, tuple[int, int]]:
        """Failures of this source that somebody accepted, by their URIs: size and time of the file that was looked at."""
        rows = self._execute("SELECT uri, size, mtime_ns FROM ledger.accepted WHERE source = :source")
        return {str(uri): (int(size), int(mtime_ns)) for uri, size, mtime_ns in rows}

    def set_accepted(self, files: Mapping[str, tuple[int, int]]) -> None:
        """Know these as accepted, and no others of this source."""
        self._execute("DELETE FROM ledger.accepted WHERE source = :source")
        source = self._values["source"]
        self._many("INSERT INTO ledger.accepted VALUES (?, ?, ?, ?)", [(source, uri, *file) for uri, file in files.items()])

    def interrupted(self) -> bool:
        """Whether the run before this one did not finish: what it wrote may still lack its search graph."""
        rows = self._execute(
            "SELECT report IS NULL FROM ledger.runs WHERE generation = :generation AND number < :run "
            "ORDER BY number DESC LIMIT 1"
        )
        return bool(rows and rows[0][0])

    def finish(self, report: str) -> None:
        """Keep the run's report, and those of the last hundred runs."""
        self._execute("UPDATE ledger.runs SET report = :report WHERE number = :run", report=report)
        self._execute("DELETE FROM ledger.runs WHERE number <= :run - 100")
