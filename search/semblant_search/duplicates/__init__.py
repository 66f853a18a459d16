"""Duplicates: files of a collection that are one and the same picture, and pictures that are another one, changed.

`find_duplicates` leads through: files are read (`files`), small rasters bring up candidates (`signatures`), a glance leaves out
pages of one template (`glances`), and pixels (`decoding`, with `colours` and `codecs`; `keeping` holds the last of them) decide
whether two are copies (`joining`, by `copies`) or one of them was changed (`attaching`, by `changes`). For files that are not
at hand their details have to do (`details`).
"""

from .finding import find_duplicates
from .results import Duplicate, DuplicateGroup, DuplicatesInterrupted

__all__ = ["Duplicate", "DuplicateGroup", "DuplicatesInterrupted", "find_duplicates"]
