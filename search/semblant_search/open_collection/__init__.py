"""An open collection: what a client asks, with checked arguments, wherever it is answered.

`LocalCollection` answers in this process, over the store; `RemoteCollection` asks a Semblant service.
"""

from __future__ import annotations

from .base import OpenCollection
from .local import LocalCollection

__all__ = ["LocalCollection", "OpenCollection"]
