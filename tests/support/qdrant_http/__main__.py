"""See the package."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path


def main() -> None:
    if not __package__:  # started as a folder: let the package find itself
        sys.path[0] = str(Path(__file__).parents[2])
    import support.qdrant_http as package
    from support.qdrant_http.faults import FAULTS
    from support.qdrant_http.handler import Handler, Server
    from support.qdrant_http.relay import Relay
    from support.qdrant_http.routes import Routes

    parser = argparse.ArgumentParser(description=package.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--to", metavar="URL", help="a real server that does what is asked here; by REST")
    parser.add_argument("--prefix", default="", help="of the collections that are meant, on a real server")
    parser.add_argument("--version", default="", help="which it says it is; 1.20.0, or the real server's")
    parser.add_argument("--faults", type=float, default=0.0, help="this share of the requests fails in a way drawn at random")
    parser.add_argument("--only", nargs="+", choices=FAULTS, help="faults of these kinds; all without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stall", type=float, default=1.5, help="seconds")
    parser.add_argument(
        "--yellow", type=int, default=0, help="looks at a collection that find it yellow after a write; -1: all"
    )
    parser.add_argument("--late", type=int, default=0, help="requests to a new collection that find a node without it")
    parser.add_argument("--lag", type=int, default=0, help="counts after a write that find a replica without one point")
    parser.add_argument("--strict", action="store_true", help="filters need an index")
    parser.add_argument("--strict-mode", default="{}", metavar="JSON", help="more of its settings, as in the REST interface")
    parser.add_argument("--graph", action="store_true", help="searches that are not exact miss")
    options = parser.parse_args()
    Handler.options = options
    Handler.routes = Relay(options) if options.to else Routes(options)
    Handler.dice = random.Random(options.seed)
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
