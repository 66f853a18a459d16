"""Jobs inside `semblant serve`: routes that the service finds by the entry-point group `semblant.service`."""

from .routes import add_jobs

__all__ = ["add_jobs"]
