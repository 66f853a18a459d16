"""Claim: whatever happens to sources and ledgers, the collection holds what a plain Python model says, and each picture is its
sources'.

200 random histories of fourteen steps for each store (with `--quick` two). Each is of three sources that overlap (a folder, one
within it, a list) and two machines with a ledger each. A step is one of: index, with `--prune` or not; add, change, rename or
delete a picture; edit the list; lose a ledger; rebuild; kill -9 at a write, and run again; two jobs at once. After each one the
collection is compared with the model (`tests/support/source_histories.py`). The server is qdrant-client's local mode behind
HTTP (`tests/support/qdrant_http`), or the one at QDRANT_URL. Every history must agree; one that does not is told with its seed,
which repeats it (`--first SEED --histories 1`).

On two cores: 80 minutes, with `--quick` 50 seconds.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from _report import at_least, finish, parser
from semblant_exporter.pixels import pixel_encoder
from semblant_search import Fit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.servers import server
from support.source_histories import History

STEPS = 14


def agrees(store: str, seed: int, encoder: Path) -> bool:
    """Whether the history of a seed goes as the model says; if not, stderr says what differs, and after which steps."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        db = str(Path(folder) / "db") if store == "directory" else stack.enter_context(server())
        history = History(Path(folder), encoder, db, seed)
        try:
            for _ in range(STEPS):
                history.step()
        except Exception:
            print(f"{store}, seed {seed}: {history.log}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            return False
    return True


def main() -> None:
    options = parser(__doc__, quick="two histories for each store")
    options.add_argument("--histories", type=int, help="for each store; 200, with --quick 2")
    options.add_argument("--store", choices=["directory", "server", "both"], default="both")
    options.add_argument("--first", type=int, default=0, metavar="SEED", help="of the first history")
    arguments = options.parse_args()
    histories = arguments.histories or (2 if arguments.quick else 200)
    stores = ["directory", "server"] if arguments.store == "both" else [arguments.store]
    numbers: dict[str, Any] = {"histories": histories, "steps": STEPS}
    with tempfile.TemporaryDirectory() as temporary:
        encoder = Path(temporary) / "encoder.onnx"
        encoder.write_bytes(pixel_encoder(Fit(28, 28, 1)))
        for store in stores:
            agreed = 0
            for done, seed in enumerate(range(arguments.first, arguments.first + histories), 1):
                agreed += agrees(store, seed, encoder)
                print(f"{store}: {agreed} of {done} agree", file=sys.stderr, flush=True)
            numbers[store] = {"agree": agreed}
    finish("source_histories", numbers, [at_least(f"{store}/agree", histories) for store in stores], quick=arguments.quick)


if __name__ == "__main__":
    main()
