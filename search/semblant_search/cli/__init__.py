"""Semblant: cli."""
