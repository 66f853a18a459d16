"""Semblant: orb."""
