"""Tables of pictures: CSV, JSON Lines, JSON and Parquet with a column that names the picture, everything else metadata."""

from .columns import FILE_COLUMNS, NoFileColumnError, Row
from .reading import LIST_SUFFIXES, TEXT_SUFFIXES, infer_types, read_rows, row_uri

__all__ = ["FILE_COLUMNS", "LIST_SUFFIXES", "TEXT_SUFFIXES", "NoFileColumnError", "Row", "infer_types", "read_rows", "row_uri"]
