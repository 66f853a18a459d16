"""Semblant: where."""
