"""The map and the clusters of a collection, for the page: routes that the service finds by its entry points."""

from .routes import add_maps

__all__ = ["add_maps"]
