"""A small Qdrant server over HTTP, on qdrant-client's local mode, that behaves as the real one and can be told to misbehave.

    python tests/support/qdrant_http [options]

prints `http://127.0.0.1:PORT` and serves the REST calls that Semblant makes until it is killed. `--help` lists the options.

What local mode leaves out is added by the real server's source (1.19): writes that are not waited for come into force after the
next reading, bodies of more than 32 MB are refused, the configuration and the payload indexes are kept and shown, counting
that need not be exact is not, collections are yellow or grey while their indexes are built, and strict mode wants an index
for every filter. A cluster's nodes may not know a new collection yet (`--late`), or lag behind (`--lag`). With `--graph`,
searches that are not exact miss as HNSW and quantized vectors do.

With `--to URL` a real server does the work instead (see `relay.py`), under a prefix of its own: what arrives is still told,
faults, answers and strict mode are as asked; `--yellow`, `--late`, `--lag` and `--graph` are the server's own matter.

Tests steer it beside the REST interface:

    GET, DELETE /_requests    what arrived (method, path, query, body, size), the last thousand; forget it, and /_answers
    PUT /_answers             a list of {"status", "headers", "done", "message"}: how the next requests are answered, and
                              whether they are done all the same; status 200 is the proper answer
    PUT /_version             the version that it says it is; its own again for ""
    PUT /_restart             forget which collections were optimized, as a restart does: yellow ones turn grey
    PUT /_outage              shards that no node answers for, by number: what needs all of a collection fails
    PUT /_fail                {"collection", "why"}: its indexes cannot be built: it is red
    PUT /_damage              {"collection", "id", "payload"}: change a point's payload, or without a payload remove it

A real server behind it knows none of `/_restart`, `/_outage` and `/_fail`.
"""
