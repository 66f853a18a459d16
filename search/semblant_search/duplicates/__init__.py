"""Duplicate files of a collection."""

from .finding import Duplicate, DuplicateGroup, find_duplicates

__all__ = ["Duplicate", "DuplicateGroup", "find_duplicates"]
