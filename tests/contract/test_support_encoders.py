"""The encoders that tests of the search use are those that the exporter writes today."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from semblant_exporter.pixels import pixel_encoder
from semblant_search import Encoder, Fit
from support.encoders import NAMES, Name, encoder_bytes

WRITTEN: dict[Name, tuple[Fit, dict[str, Any]]] = {
    "grey-28": (Fit(28, 28, 1), {}),
    "grey-28-finer": (Fit(28, 28, 1), {"grid": 14, "name": "finer"}),
    "grey-28-cells": (Fit(28, 28, 1), {"cells": True}),
    "grey-14": (Fit(14, 14, 1), {}),
    "grey-14-coarse": (Fit(14, 14, 1), {"name": "coarse"}),
    "grey-64-cells": (Fit(64, 64, 1, policy="stretch"), {"grid": 8, "cells": True}),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_file_is_what_the_exporter_writes(name: Name) -> None:
    fit, options = WRITTEN[name]
    kept, written = Encoder(encoder_bytes(name), threads=1), Encoder(pixel_encoder(fit, **options), threads=1)
    assert kept.card == written.card
    batch = np.random.default_rng(1).integers(0, 256, size=(3, *fit.shape), dtype=np.uint8)
    np.testing.assert_allclose(kept.encode(batch), written.encode(batch), atol=1e-6)
