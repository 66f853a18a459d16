"""The ledger's tables, and the conditions that compare a run's scan with them, in SQL."""

from __future__ import annotations

from .rows import TRANSIENT

VERSION = 3
"""Version 2 knew a source by its root, and each picture once."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger.items (
    generation TEXT NOT NULL,
    uri TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT,
    metadata TEXT,
    outcome TEXT NOT NULL,
    reason TEXT,
    message TEXT,
    point INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    written INTEGER NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (generation, source, uri)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger.sources (
    generation TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    root TEXT NOT NULL,
    revision TEXT NOT NULL,
    PRIMARY KEY (generation, id)
);
CREATE TABLE IF NOT EXISTS ledger.arrivals (
    generation TEXT NOT NULL, source TEXT NOT NULL, uri TEXT NOT NULL, PRIMARY KEY (generation, source, uri)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger.generations (name TEXT PRIMARY KEY, created_at TEXT NOT NULL, encoder TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledger.runs (
    number INTEGER PRIMARY KEY, generation TEXT NOT NULL, started_at TEXT NOT NULL, job TEXT NOT NULL, report TEXT
);
"""
SOUND = (
    "SELECT generation, uri, size, mtime_ns, sha256, metadata, outcome, reason, message, point, seen, written, source "
    "FROM {schema}.items LIMIT 1"
)
"""Fails where the table is another program's, or cannot be read from its beginning."""
ACCEPTED_TABLE = """
CREATE TABLE IF NOT EXISTS {schema}.accepted (
    source TEXT NOT NULL, uri TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, PRIMARY KEY (source, uri)
) WITHOUT ROWID;
"""
"""Failures that somebody accepted, with the file that they were of; of no generation, so that a rebuild keeps them."""
ACCEPTED = (
    "EXISTS (SELECT 1 FROM {schema}.accepted a WHERE a.source = i.source AND a.uri = i.uri AND a.size = i.size "
    "AND a.mtime_ns = i.mtime_ns)"
)
THERE = "i.source NOT IN (SELECT id FROM temp.removed)"
"""Of a ledger that is only read: the collection still has the source (`reading.note_removed`)."""
IS_ACCEPTED = ACCEPTED.format(schema="ledger")
FROM_2 = """
ALTER TABLE ledger.items RENAME TO items_2;
{schema}
INSERT INTO ledger.items SELECT * FROM ledger.items_2;
DROP TABLE ledger.items_2;
"""
"""What version 2 knew is kept under the roots of its sources, until their jobs come."""
SCAN = """
CREATE TABLE scan (
    seq INTEGER PRIMARY KEY,
    uri TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    payload TEXT NOT NULL,
    metadata TEXT NOT NULL,
    outcome TEXT,
    reason TEXT,
    message TEXT,
    place TEXT
);
CREATE TABLE vanished (
    uri TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, foreign_source INTEGER NOT NULL
);
"""
PASSING = ",".join(map(repr, TRANSIENT))
MINE = "generation = :generation AND source = :source"
JOIN = "FROM scan s LEFT JOIN ledger.items i ON i.generation = :generation AND i.source = :source AND i.uri = s.uri"
EXIF_MARK = "+exif"
"""Behind the hash of a picture's metadata: what cameras wrote into it was read as well."""
# What an earlier job read of it stays, so that one that was not asked for it finds nothing to do.
SAME_METADATA = f"(i.metadata = s.metadata OR (NOT :exif AND i.metadata = s.metadata || '{EXIF_MARK}'))"
READ_ALL = f"(NOT :exif OR i.metadata LIKE '%{EXIF_MARK}')"
SAME = "i.size = s.size AND i.mtime_ns = s.mtime_ns AND s.size >= 0"
GONE = f"{MINE} AND uri NOT IN (SELECT uri FROM scan)"
_HELD = (
    "SELECT j.sha256 FROM ledger.items j JOIN scan t ON t.uri = j.uri "
    "WHERE j.generation = :generation AND j.source = :source AND j.outcome = 'indexed' AND t.outcome IS NULL"
)
# Contents that have a point under a URI that the source still holds, and those of which it had none there before.
HELD = f"({_HELD})"
ARRIVED = f"({_HELD} AND j.uri IN (SELECT uri FROM ledger.arrivals WHERE {MINE}))"
# CASE, because AND would have SQLite list all contents held for each page of pictures, also where none is a duplicate.
SETTLED = f"""coalesce(
    (i.outcome = 'indexed' AND NOT :verify AND {SAME} AND {SAME_METADATA})
    OR CASE WHEN i.outcome = 'duplicate' AND :merge AND NOT :verify AND {SAME} THEN i.sha256 IN {HELD} END
    OR (i.outcome = 'failed' AND NOT :retry AND {SAME} AND i.reason NOT IN ({PASSING})),
0)"""
# What a run has looked at once it does not take again, or a failure that may pass would keep it busy for ever.
TODO = f"s.outcome IS NULL AND coalesce(i.seen, 0) <> :run AND NOT {SETTLED}"
