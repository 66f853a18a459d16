"""Numbers of quantized search that both stores share."""

from __future__ import annotations

__all__ = ["OVERSAMPLING", "QUANTILE"]

QUANTILE = 0.99
"""Scalar quantization: the range that holds this share of the numbers is spread over 8 bits, the rest is cut."""
OVERSAMPLING = {"scalar": 2.0, "turbo": 3.0, "binary": 8.0}
"""How many times the hits are found with quantized vectors before the originals choose among them."""
