"""The stages of the job as a Ray Data pipeline: many machines decode, encode and write to one Qdrant server or cluster.

    ledger ─▶ batches ─▶ Decode ─pixels─▶ Encode ─vectors─▶ Write ─▶ Qdrant
       ▲                 (actors, each with a worker process)  │
       └──────────────── what became of each picture ──────────┘

Pixels and vectors stay among the actors; only facts come back to the process that holds the ledger, and only after the points
that they speak of are in the store. So a run may be killed anywhere, and an actor may be started again, as on one machine.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semblant_search.encoder import Encoder
from semblant_search.errors import MissingExtra, SemblantError, StoreError
from semblant_search.store import open_database

from .job import cores, patient
from .ownership import owned
from .pool import WorkerPool
from .worker import Decoded, Task, Unchanged, WorkerConfig
from .writer import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .ledger import Todo
    from .writer import Writer

__all__ = ["Plan", "RayPipeline"]

_ROUND = 1000
"""Batches that go through one pipeline: a million pictures as one list would fill the memory of this process."""


@dataclass(frozen=True)
class Plan:
    """What the actors need to know, wherever they run.

    Attributes:
        config: of decoding.
        patience: seconds that decoding one picture may take.
        batch: most pictures in a batch.
        encoder: the bytes of `encoder.onnx`.
        workers: decode processes; None takes all cores of the cluster but one a machine.
        threads: of each encoder; None takes one for each core of its machine.
        db, api_key, timeout, collection, generation: where the points go.
        source: id of the source that they are from.
    """

    config: WorkerConfig
    patience: float
    batch: int
    encoder: bytes
    workers: int | None
    threads: int | None
    db: str
    api_key: str | None
    timeout: float
    collection: str
    generation: str
    source: str


class RayPipeline:
    """Runs pictures through the stages once, on the cluster that RAY_ADDRESS names, that is running on this machine, or that
    is started for the purpose.

    Raises:
        MissingExtra: Ray is not installed.
        StoreError: there is no such cluster.
    """

    def __init__(self, plan: Plan, writer: Writer) -> None:
        self._ray, self._started = _start()
        self._plan, self._writer = plan, writer
        self.busy = {"decode": 0.0, "encode": 0.0, "write": 0.0}
        """Seconds that each stage has been at work, divided by the most actors that it may have."""

    def run(self, todo: Iterator[Todo], total: int, on_progress: Callable[[], None]) -> None:
        """Take every picture through all stages. Whatever a stage raises is raised here."""
        machines = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        available = int(sum(node["Resources"]["CPU"] for node in machines))
        decoders = min(self._plan.workers or max(1, available - len(machines)), max(1, available))
        actors = {"decode": decoders, "encode": len(machines), "write": len(machines)}
        # A few batches for each decoder, or the last one keeps all others waiting.
        batch = max(1, min(self._plan.batch, total // (4 * decoders) + 1))
        batches = self._batches(todo, batch)
        plan = self._ray.put(self._plan)
        while part := list(itertools.islice(batches, _ROUND)):
            for outcome, seconds in self._through(part, plan, actors):
                self._writer.take(outcome)
                for stage, taken in seconds.items():
                    self.busy[stage] += taken / actors[stage]
                on_progress()
        self._writer.flush()

    def _batches(self, todo: Iterator[Todo], size: int) -> Iterator[bytes]:
        """Batches of pictures that have to be read; what only needs new metadata is settled here and now."""
        pending: list[Todo] = []
        changed: list[Todo] = []
        for item in todo:
            (changed if item.same_file else pending).append(item)
            if len(changed) >= 256:
                self._keep(changed)
                changed = []
            if len(pending) >= size:
                yield pickle.dumps(pending, protocol=5)
                pending = []
        self._keep(changed)
        if pending:
            yield pickle.dumps(pending, protocol=5)

    def _keep(self, todos: list[Todo]) -> None:
        self._writer.keep([(todo, Unchanged(todo.sha256 or "", todo.size, todo.mtime_ns)) for todo in todos])

    def _through(self, batches: list[bytes], plan: Any, actors: dict[str, int]) -> Iterator[Any]:
        import ray.data

        gpus = 1 if self._ray.cluster_resources().get("GPU", 0) >= actors["encode"] else 0
        dataset: Any = ray.data.from_items([{"batch": batch} for batch in batches], override_num_blocks=len(batches))
        for name, stage in (("decode", Decode), ("encode", Encode), ("write", Write)):
            dataset = dataset.map(
                stage,
                fn_constructor_args=(plan,),
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors[name]),
                # Only decoders take cores: if the others did, too, they could leave no machine with a whole one for them.
                num_cpus=1 if name == "decode" else 0,
                num_gpus=gpus if name == "encode" else 0,
            )
        with _stage_errors():
            for row in dataset.iter_rows():
                yield pickle.loads(row["batch"])

    def close(self) -> None:
        """Leave the cluster, if it was joined here; one that was started here ends."""
        if self._started:
            self._ray.shutdown()


class Decode:
    """An actor that decodes: a worker process of its own does it, so that a crash or a stall costs one picture here, too."""

    def __init__(self, plan: Any) -> None:
        import ray

        known: Plan = ray.get(plan)
        self._pool = WorkerPool(known.config, workers=1, slots=1, batch=known.batch, patience=known.patience)

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Batches of `Todo` to results and pixels, uint8 `[n, height, width, channels]`."""
        begin = time.perf_counter()
        todos: list[Todo] = pickle.loads(row["batch"])
        self._pool.submit(Task(0, [(todo.where, todo.known) for todo in todos]))
        while not (done := self._pool.collect(1.0)):
            pass
        results = done[0].results
        pixels = self._pool.pixels[0, : sum(isinstance(result, Decoded) for result in results)]
        seconds = {"decode": time.perf_counter() - begin}
        return {"batch": pickle.dumps((todos, results, pixels, seconds), protocol=5)}


class Encode:
    """An actor with the encoder."""

    def __init__(self, plan: Any) -> None:
        import ray

        known: Plan = ray.get(plan)
        self._encoder = Encoder(known.encoder, threads=known.threads or cores())

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Pixels to vectors, float32 `[n, D]`."""
        begin = time.perf_counter()
        todos, results, pixels, seconds = pickle.loads(row["batch"])
        vectors = self._encoder.vectors(pixels) if len(pixels) else None
        seconds["encode"] = time.perf_counter() - begin
        return {"batch": pickle.dumps((todos, results, vectors, seconds), protocol=5)}


class Write:
    """An actor that writes to the server."""

    def __init__(self, plan: Any) -> None:
        import ray

        known: Plan = ray.get(plan)
        database = open_database(known.db, api_key=known.api_key, timeout=known.timeout, retry=patient(known.timeout))
        self._store = database.open(known.collection, known.generation)
        self._source = known.source

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Results and vectors to points in the store, and to what the ledger has to know of them."""
        begin = time.perf_counter()
        todos, results, vectors, seconds = pickle.loads(row["batch"])
        outcome = settle(todos, results, vectors, self._store.payload_fits)
        self._store.upsert(owned(self._store, outcome.points, self._source))
        seconds["write"] = time.perf_counter() - begin
        return {"batch": pickle.dumps((outcome._replace(points=[]), seconds), protocol=5)}


def _start() -> tuple[Any, bool]:
    """Ray, and whether this process was not part of a cluster before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody was asked whether Ray may report home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("the engine 'ray'", "semblant-indexer[ray]") from error
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:  # ConnectionError, RuntimeError, and what its services raise
            address = os.environ.get("RAY_ADDRESS", "on this machine")
            raise StoreError(f"the Ray cluster {address} cannot be joined: {error}; is it running? (RAY_ADDRESS)") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # its remarks would stand between the job's own lines
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray, started


@contextlib.contextmanager
def _stage_errors() -> Iterator[None]:
    """What a stage raised, out of the wrappings of Ray."""
    try:
        yield
    except SemblantError:
        raise
    except Exception as error:
        inner: BaseException | None = error
        while inner is not None:
            if isinstance(inner, SemblantError):
                raise inner from None
            cause = getattr(inner, "cause", None)
            inner = cause if isinstance(cause, BaseException) else inner.__cause__
        text = (str(error).splitlines() or [type(error).__name__])[-1]
        raise StoreError(f"the Ray pipeline stopped: {text}; what was indexed is kept") from error
