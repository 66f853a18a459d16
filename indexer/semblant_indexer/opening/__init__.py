"""`semblant open`: a page over a folder; an encoder at hand first, the index, then the encoder that suits the pictures."""

from .folder import OpenJob, home_of, open_folder

__all__ = ["OpenJob", "home_of", "open_folder"]
