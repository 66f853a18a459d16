"""Where pictures come from. A source is anything that yields `Item`s; it reads no pixels."""

from .base import Item, Problem, Source
from .folder import FolderSource
from .listing import ListSource
from .opening import open_source
from .remote import RemoteFolderSource
from .webdataset import WebDatasetSource

__all__ = ["FolderSource", "Item", "ListSource", "Problem", "RemoteFolderSource", "Source", "WebDatasetSource", "open_source"]
