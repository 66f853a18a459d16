"""A process that tells which pictures a file holds; the libraries that know may crash, or take for ever.

A line of JSON with the place of a file comes in, and one with the fragments of all its pictures but the first goes out.
"""

from __future__ import annotations

import contextlib
import json
import sys

from semblant_search.images import DEFAULT_MAX_PIXELS, most_bytes
from semblant_search.images.frames import other_frames
from semblant_search.images.process import keep_pillow_quiet

from semblant_indexer.reading import read_content


def _answer(place: str) -> list[str]:
    with contextlib.suppress(Exception):  # of a damaged file the decoder will tell; its libraries' errors have no common base
        return other_frames(read_content(place, most_bytes(DEFAULT_MAX_PIXELS)).data)
    return []


def main() -> None:
    """Answer until there are no more questions."""
    keep_pillow_quiet()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(_answer(json.loads(line))).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
