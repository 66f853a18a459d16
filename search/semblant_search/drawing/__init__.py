"""Pictures about pictures: galleries of hits, groups of duplicates, and what agrees in a match."""

from __future__ import annotations

from .gallery import draw_gallery, draw_groups, name_of, save_picture
from .matches import draw_matches

__all__ = ["draw_gallery", "draw_groups", "draw_matches", "name_of", "save_picture"]
