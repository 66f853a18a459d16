"""Semblant's batch indexing job: pictures in, vectors and metadata in Qdrant."""
