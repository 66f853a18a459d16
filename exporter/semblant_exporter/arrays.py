"""All embeddings of a folder as one array, for notebooks and other tools."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
from semblant_search.encoder import Encoder

from semblant_exporter import pictures
from semblant_exporter.checkpoint import check_writable, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_embeddings"]

_BATCH = 256


def write_embeddings(encoder_file: Path, directory: Path, path: Path) -> list[str]:
    """Write the embeddings of all pictures of a folder: float32 `[n, D]` to `path`, and beside it a CSV of row and URI.

    Returns:
        What is wrong with each picture that could not be used; these have no row.

    Raises:
        SemblantError: no sound encoder, no pictures, or no room.
    """
    encoder = Encoder(encoder_file)
    check_writable(path)
    array = pictures.load(directory, encoder.card.fit)
    parts = [encoder.encode(array.pixels[start : start + _BATCH]) for start in range(0, len(array), _BATCH)]
    file = io.BytesIO()
    np.save(file, np.concatenate(parts), allow_pickle=False)
    write_atomically(path, file.getvalue())
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["row", "uri"])
    writer.writerows(enumerate(array.uris))
    write_atomically(path.with_suffix(".csv"), table.getvalue().encode())
    return [failure.message for failure in array.failures]
