"""Every error that Semblant raises on purpose.

A message gives the value, what was expected, and what to do next. Exceptions of Qdrant, ONNX Runtime, OpenCV and Pillow
never leave the library: they are the `__cause__` of one of these.

    SemblantError
    ├── InvalidInput            an argument that can never work (also a ValueError)
    │   ├── WhereError          a filter expression: syntax, unknown field, wrong type; knows its column
    │   └── MetadataError       a metadata table or value that cannot be used
    ├── ImageError              one picture that cannot be used; knows its reason code
    │   └── NoFeaturesError     a picture without enough ORB key points to ask with
    ├── EncoderError            not an encoder, or a broken one
    │   └── EncoderMismatch     a sound encoder, but not the one this collection was built with
    ├── StoreError              a database that cannot do what was asked
    │   ├── NotADatabase        the directory exists, but is not a Semblant database
    │   ├── CollectionNotFound
    │   ├── PointNotFound       a URI or id that is not in the collection
    │   ├── NotIndexed          the collection was indexed without what is asked for
    │   ├── StoreLocked         another process holds the directory
    │   │   └── JobAtWork       another job changes the collection
    │   ├── StoreUnavailable    the server is down, refuses or does not answer in time
    │   └── StoreDenied         the server answers, but not with this API key
    ├── DataError               a set of pictures that cannot be fetched, read or written
    ├── TrainingError           training or exporting cannot go on
    └── MissingExtra            an optional dependency is not installed
"""

from __future__ import annotations

from .shown import without_users

__all__ = [
    "CollectionNotFound",
    "DataError",
    "EncoderError",
    "EncoderMismatch",
    "ImageError",
    "InvalidInput",
    "JobAtWork",
    "MetadataError",
    "MissingExtra",
    "NoFeaturesError",
    "NotADatabase",
    "NotIndexed",
    "PointNotFound",
    "SemblantError",
    "StoreDenied",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "TrainingError",
    "WhereError",
]


class SemblantError(Exception):
    """Base of all errors that Semblant raises on purpose. `exit_code` is what the command line ends with."""

    exit_code = 1


class InvalidInput(SemblantError, ValueError):  # noqa: N818 - reads as what it says, like LookupError's children
    """An argument that can never work, whatever the database holds.

    Attributes:
        argument: its name, as `limit`; None where it is not one alone.
    """

    exit_code = 2

    def __init__(self, message: str = "", *, argument: str | None = None) -> None:
        self.argument = argument
        super().__init__(message)


class WhereError(InvalidInput):
    """A filter that cannot be used.

    Attributes:
        expression: the text as given, or None for a filter built in Python.
        column: 0-based offset into `expression` at which the problem begins, or None.
    """

    def __init__(self, message: str, *, expression: str | None = None, column: int | None = None) -> None:
        self.expression = expression
        self.column = column
        message = without_users(message)
        if expression is not None and column is not None and "\n" not in expression:
            # A long expression is shown around the problem only.
            expression = without_users(expression, keep_length=True)
            start, end = max(0, column - 60), column + 60
            before, after = "…" if start else "", "…" if end < len(expression) else ""
            message = f"{message}\n  {before}{expression[start:end]}{after}\n  {' ' * (column - start + len(before))}^"
        super().__init__(message, argument="where")


class MetadataError(InvalidInput):
    """A metadata table, or a value in it, that cannot be used."""


class ImageError(SemblantError):
    """One picture that cannot be used.

    Attributes:
        reason: a short stable code for counting: `empty`, `not-an-image`, `truncated`, `too-large`, `unreadable`,
            `missing`, `unsupported`.
        index: its place among the pictures that were given, from 0; None where one was given.
    """

    def __init__(self, message: str, *, reason: str, index: int | None = None) -> None:
        self.reason = reason
        self.index = index
        super().__init__(message)


class NoFeaturesError(ImageError):
    """A picture without enough ORB key points to ask with."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="no-features")


class EncoderError(SemblantError):
    """A file that is not an encoder, or a broken one."""


class EncoderMismatch(EncoderError):  # noqa: N818
    """A sound encoder, but not the one that this collection's vectors came from."""


class StoreError(SemblantError):
    """A database that cannot do what was asked."""


class NotADatabase(StoreError):  # noqa: N818
    """The path exists, but a Semblant database is not what lies there."""


class CollectionNotFound(StoreError):  # noqa: N818
    """The database has no collection of this name."""


class PointNotFound(StoreError):  # noqa: N818
    """The collection has no picture of this URI or id."""


class NotIndexed(StoreError):  # noqa: N818
    """The collection was indexed without what is asked for: details, or what chance scores in it."""


class StoreLocked(StoreError):  # noqa: N818
    """Another process holds the database directory."""


class JobAtWork(StoreLocked):
    """Another job changes the collection; the message says which."""


class StoreUnavailable(StoreError):  # noqa: N818
    """The server is down, refuses, or does not answer in time."""


class StoreDenied(StoreError):  # noqa: N818
    """The server answers, but not to this API key."""


class DataError(SemblantError):
    """A set of pictures that cannot be fetched, read or written: no source, no space, nothing in it."""


class TrainingError(SemblantError):
    """Training or exporting cannot go on; what was saved before stays."""


class MissingExtra(SemblantError, ImportError):  # noqa: N818
    """An optional dependency is not installed; the message holds the pip line that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency; install it with: pip install '{extra}'")
