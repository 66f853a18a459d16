"""What each option of each command sets in the library: one table for each part, and what records it."""

from __future__ import annotations

from .exporter import EXPORTER
from .indexer import INDEXER
from .recording import CALLBACK, received
from .search import SEARCH
from .table import CommandTable, Row

__all__ = ["CALLBACK", "TABLES", "CommandTable", "Row", "received"]

TABLES: dict[str, CommandTable] = {table.name: table for table in (*SEARCH, *INDEXER, *EXPORTER)}
"""By the words of the command, such as `index` or `data clipart`."""
