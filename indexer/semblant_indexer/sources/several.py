"""All pictures of files that hold several: pages, frames, moments of films."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING

from semblant_search.collection import uri_path
from semblant_search.images.frames import chosen

from semblant_indexer.losses import Losses
from semblant_indexer.reading import frame_of, head_of, name_of

from .base import Item

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from semblant_search.collection import FieldType

    from .base import Source

__all__ = ["FramesSource"]

COMMAND = ("-m", "semblant_indexer.sources.counting")
_PATIENCE = 60.0
"""Seconds that counting the pictures of one file may take."""
_MOST = 1000
"""Pictures of one file."""
_PLAIN = (b"\xff\xd8\xff", b"BM", b"P5", b"P6", b"8BPS")
"""Beginnings of files that hold one picture."""


class FramesSource:
    """Another source's pictures, and after each file's first picture the others that it holds.

    They are counted by a process of its own, which a file may bring down. What is said of a file is said of all its pictures.

    Args:
        source: of files.
        wanted: pictures of a file, the first one with them, evenly spread; None is all, at most 1,000.
    """

    def __init__(self, source: Source, wanted: int | None) -> None:
        self._source = source
        self._wanted = wanted
        self._losses = Losses()

    @property
    def scope(self) -> str:
        """As the other's."""
        return self._source.scope

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """As the other's."""
        return self._source.fields

    def adopt_types(self, known: Mapping[str, FieldType]) -> None:
        """See `Source`."""
        self._source.adopt_types(known)

    @property
    def tables(self) -> Sequence[str]:
        """As the other's."""
        return self._source.tables

    @property
    def second_names(self) -> Mapping[str, Sequence[str]]:
        """As the other's."""
        return self._source.second_names

    @property
    def notes(self) -> list[str]:
        """The other's, and which files have more pictures than were found."""
        return [*self._source.notes, *self._losses.notes]

    @property
    def incomplete(self) -> Sequence[str]:
        """As the other's."""
        return self._source.incomplete

    def items(self) -> Iterator[Item]:
        """The other's, and behind each file's first picture its others, `…#frame=2`."""
        self._losses.clear()
        with contextlib.closing(_Counter()) as counter:
            for item in self._source.items():
                yield item
                if item.problem is None:
                    yield from self._others(item, counter)

    def _others(self, item: Item, counter: _Counter) -> Iterator[Item]:
        path = uri_path(item.uri)
        where = item.place or (str(path) if path is not None else item.uri)
        found = counter.others(where)
        if isinstance(found, str):
            self._losses.add(
                "files whose pictures cannot be counted, so that only the first is taken", f"{name_of(where)!r}: {found}"
            )
            return
        fragments = chosen(found, self._wanted)
        if len(fragments) >= _MOST:
            self._losses.add(f"files of more than {_MOST:,} pictures, of which others are left out", repr(name_of(where)))
        for fragment in fragments[: _MOST - 1]:
            place = frame_of(where, fragment)
            yield Item(f"{item.uri}#{fragment}", item.size, item.mtime_ns, item.metadata, place=place)


class _Counter:
    """Asks the other process, and starts it anew where a file brought it down."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def others(self, place: str) -> list[str] | str:
        """The fragments of all pictures of a file but the first, or why they cannot be told."""
        head = head_of(place)
        if head.startswith(_PLAIN) or (head.startswith(b"\x89PNG") and b"acTL" not in head):
            return []
        if self._process is None:
            from semblant_indexer.pool import child_environment

            self._process = subprocess.Popen(
                [sys.executable, *COMMAND],
                env=child_environment(),
                cwd=os.path.sep,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is the job's affair
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(place).encode() + b"\n")
            process.stdin.flush()
            if not select.select([process.stdout], [], [], _PATIENCE)[0]:
                self.close()
                return f"took more than {_PATIENCE:g} s"
            line = process.stdout.readline()
        except OSError:
            line = b""
        if not line:
            self.close()
            return "the library that reads it crashed"
        answer: list[str] | str = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()
