"""Semblant: store."""
