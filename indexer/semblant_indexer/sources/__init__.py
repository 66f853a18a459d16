"""Where pictures come from. A source is anything that yields `Item`s; it reads no pixels."""

from .base import Item, Problem, Source
from .folder import FolderSource
from .listing import ListSource
from .opening import open_source

__all__ = ["FolderSource", "Item", "ListSource", "Problem", "Source", "open_source"]
