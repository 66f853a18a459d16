"""ORB features on the query's side: the collection's own settings and vocabulary, and the features of a queried picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import NoFeaturesError, StoreError
from .images import open_image, to_grey
from .orb import Features, OrbSettings, Vocabulary, extract, unpack

if TYPE_CHECKING:
    import numpy as np

    from .images import ImageSource
    from .store.base import Store

__all__ = ["VOCABULARY_ASSET", "FeatureReader"]

VOCABULARY_ASSET = "vocabulary.npz"
"""The name under which a collection keeps the visual vocabulary that its `orb` vectors are made of."""


class FeatureReader:
    """Extracts features as one collection's indexer did.

    Raises:
        StoreError: the collection was indexed without ORB, or its vocabulary is missing or another one.
    """

    settings: OrbSettings
    vocabulary: Vocabulary

    def __init__(self, store: Store) -> None:
        manifest = store.manifest
        if manifest.orb is None:
            raise StoreError(
                f"collection {manifest.collection!r} was indexed without ORB features; "
                "index it again with them to search by details"
            )
        data = store.asset(VOCABULARY_ASSET)
        if data is None:
            raise StoreError(f"collection {manifest.collection!r} has lost its visual vocabulary; index it again")
        self.settings = OrbSettings.from_json(manifest.orb["settings"])
        self.vocabulary = Vocabulary.from_bytes(data)
        if self.vocabulary.fingerprint != manifest.orb["vocabulary"]:
            raise StoreError(
                f"collection {manifest.collection!r} holds visual words of vocabulary {str(manifest.orb['vocabulary'])[:12]}…, "
                f"but keeps vocabulary {self.vocabulary.fingerprint[:12]}…; index it again"
            )

    def of_query(self, source: ImageSource, stored: np.ndarray | None = None) -> Features:
        """Features to ask with: the stored ones of an indexed picture, else those of a decoded one.

        Raises `ImageError`; `NoFeaturesError` for a picture that has none.
        """
        if stored is not None:
            features = unpack(stored)
        else:
            side = self.settings.longest_side
            grey = to_grey(open_image(source, at_least=(side, side)), longest_side=side)
            features = extract(grey, self.settings, limit=self.settings.query_features)
        if len(features) == 0:
            raise NoFeaturesError(
                "the picture has no ORB features (it is flat, smooth or very small), so there are no details to search by; "
                "search by its whole look instead, without --features"
            )
        return features
