"""Changing what an encoder file says about itself, and nothing else in it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from semblant_search.encoder import CARD_KEY, Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["with_quality"]


def with_quality(encoder: Encoder, quality: Mapping[str, Any]) -> bytes:
    """The same encoder with `quality` added to its card. It is another file, so its fingerprint is another, too.

    Embeddings are the same bit for bit, but a collection that was built with the original refuses the copy.
    """
    import onnx

    model = onnx.load_model_from_string(encoder.to_bytes())
    card = replace(encoder.card, quality={**encoder.card.quality, **quality})
    for entry in model.metadata_props:
        if entry.key == CARD_KEY:
            entry.value = json.dumps(card.to_json())
    return bytes(model.SerializeToString())
