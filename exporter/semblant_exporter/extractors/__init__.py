"""Encoders without training: networks that know ImageNet, cut before their last layers and pooled."""

from .backbones import BACKBONES
from .extracting import ExtractJob, extract
from .extractor import POOLINGS, Extractor, ExtractorConfig, gem

__all__ = ["BACKBONES", "POOLINGS", "ExtractJob", "Extractor", "ExtractorConfig", "extract", "gem"]
