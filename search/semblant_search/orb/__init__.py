"""Which pictures contain these features? ORB key points and descriptors, visual words over them, and their packed form.

Needs OpenCV (`pip install 'semblant-search[orb]'`) for extraction only; without it, extracting raises `MissingExtra`.
"""

from __future__ import annotations

from .features import Features, extract
from .packing import FEATURE_BYTES, pack, unpack
from .settings import OrbSettings
from .vocabulary import Vocabulary

__all__ = ["FEATURE_BYTES", "Features", "OrbSettings", "Vocabulary", "extract", "pack", "unpack"]
