"""Qdrant Edge: the engine in this process, over files in a directory."""
