"""Which pictures contain these features? ORB key points and descriptors, visual words over them, their packed form,
and the geometric verification that proves a match.

Needs OpenCV (`pip install 'semblant-search[orb]'`) to extract and to verify; without it, these raise `MissingExtra`.
"""

from __future__ import annotations

from .calibration import CALIBRATION_ASSET, Calibration
from .features import Features, extract
from .packing import FEATURE_BYTES, pack, unpack
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
    "extract",
    "pack",
    "unpack",
    "verify",
    "verify_many",
]
