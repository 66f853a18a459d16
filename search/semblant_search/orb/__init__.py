"""Which pictures contain these features? ORB key points and descriptors, visual words over them, their packed form,
and the geometric verification that proves a match.

Needs OpenCV (`pip install 'semblant-search[orb]'`) to extract and to verify; without it, these raise `MissingExtra`.
"""

from __future__ import annotations

from .calibrating import calibrate
from .calibration import CALIBRATION_ASSET, Calibration
from .features import Features, extract
from .overlap import thumbnail
from .packing import FEATURE_BYTES, as_stored, pack, unpack, unpack_thumbnail
from .settings import OrbSettings
from .verify import DEFAULT_MIN_CONFIDENCE, Match, Verifier, verify, verify_many
from .vocabulary import Vocabulary

__all__ = [
    "CALIBRATION_ASSET",
    "DEFAULT_MIN_CONFIDENCE",
    "FEATURE_BYTES",
    "Calibration",
    "Features",
    "Match",
    "OrbSettings",
    "Verifier",
    "Vocabulary",
    "as_stored",
    "calibrate",
    "extract",
    "pack",
    "thumbnail",
    "unpack",
    "unpack_thumbnail",
    "verify",
    "verify_many",
]
