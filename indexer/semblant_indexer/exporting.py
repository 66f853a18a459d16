"""All vectors and metadata of a collection as files that other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .vector_files import ROWS, check_export, columns_of, vector_files

if TYPE_CHECKING:
    from pathlib import Path

    from semblant_search.store import Store

__all__ = ["export_vectors"]


def export_vectors(store: Store, folder: Path, rows: int = ROWS) -> int:
    """Write all pictures of a generation, in place of what an export wrote there before; how many there are.

    `vector_files` says how they are laid out.

    Raises:
        InvalidInput, MissingExtra: as `check_export`.
        StoreError: a file cannot be written.
    """
    check_export(folder)
    manifest = store.manifest
    columns = columns_of((record.payload for record in store.scroll()), manifest.fields)
    with vector_files(folder, manifest, columns, rows, kept="everything is indexed") as files:
        for record in store.scroll(with_image=True):
            vector = np.zeros(manifest.dim, np.float32) if record.image is None else record.image
            files.add(record.id, record.payload, vector)
    return files.count
