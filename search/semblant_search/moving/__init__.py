"""Moving house: a collection from one database to another, or to a file and back."""

from .copying import CopyReport, copy_collection
from .snapshots import restore, snapshot

__all__ = ["CopyReport", "copy_collection", "restore", "snapshot"]
