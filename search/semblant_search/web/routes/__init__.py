"""The routes, by what they are about. Each module adds its own to a router."""

from .collections import add_collection_routes
from .overviews import add_overview_routes
from .pictures import add_picture_routes
from .searches import add_search_routes

__all__ = ["add_collection_routes", "add_overview_routes", "add_picture_routes", "add_search_routes"]
