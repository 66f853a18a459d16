"""What a store is kept in: `base` says what an engine has to do, and each folder is one.

    edge/     Qdrant Edge: in this process, over a directory
    qdrant/   a Qdrant server or cluster, through qdrant-client

A running Semblant service, over HTTP, will be the third. Nothing is imported here: an engine loads when it is first used.
"""
