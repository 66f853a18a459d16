"""The stages of the job on a Ray cluster: many machines decode, encode and write to one Qdrant server or cluster.

    ledger ─▶ batches ─▶ Decode ─pixels─▶ Encode ─vectors─▶ Write ─▶ Qdrant
       ▲                 (actors, each with a worker process)  │
       └──────────────── what became of each picture ──────────┘

Pixels and vectors stay among the actors; only facts come back to the process that holds the ledger, and only after the points
that they speak of are in the store. So a run may be killed anywhere, and an actor may be started again, as on one machine. The
actors are there from the first batch to the last, and a few batches for each are under way: nothing waits for a round to end.
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
    from .sources.kept_tables import KeptTables
    from .writer import Writer

__all__ = ["Plan", "RayPipeline"]

_UNDER_WAY = 3
"""Batches for each decoder: one that it is at, one that waits for it, one that is encoded or written meanwhile."""
_PAUSE = 0.5
"""Seconds between two looks at the actors where nothing comes back."""


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
        kept: which pictures keep what nothing says any more.
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
    kept: KeptTables


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
        self._stages: tuple[_Stage, ...] = ()
        self._kept: Any = None  # the plan, for actors that are started again
        self.busy = {"decode": 0.0, "encode": 0.0, "write": 0.0}
        """Seconds that each stage has been at work, divided by the actors that it has."""

    def run(self, todo: Iterator[Todo], total: int, on_progress: Callable[[], None]) -> None:
        """Take every picture through all stages. Whatever a stage raises is raised here."""
        with _stage_errors():
            self._run(todo, total, on_progress)
        self._writer.flush()

    def _run(self, todo: Iterator[Todo], total: int, on_progress: Callable[[], None]) -> None:
        ray = self._ray
        decode, encode, write = self._stages or self._begin()
        size = {"decode": len(decode.actors), "encode": len(encode.actors), "write": len(write.actors)}
        # A few batches for each decoder, or the last one keeps all others waiting.
        batches = self._batches(todo, max(1, min(self._plan.batch, total // (4 * len(decode.actors)) + 1)))
        under_way: dict[Any, Any] = {}  # what comes back, and the decoder that it came from
        following = next(batches, None)
        while following is not None or under_way:
            while following is not None and (decoder := decode.free()) is not None:
                pixels = decoder.decode.remote(following)
                vectors = encode.next().encode.remote(pixels)
                under_way[write.next().write.remote(vectors)] = decoder
                decode.load[decoder] += 1
                following = next(batches, None)
            done, _ = ray.wait(list(under_way), timeout=_PAUSE) if under_way else ([], None)
            for reference in done:
                decode.load[under_way.pop(reference)] -= 1
                outcome, seconds = pickle.loads(ray.get(reference))
                self._writer.take(outcome)
                for stage, taken in seconds.items():
                    self.busy[stage] += taken / size[stage]
            if not under_way and not done:
                time.sleep(_PAUSE)  # no decoder is there yet
            on_progress()

    def _begin(self) -> tuple[_Stage, ...]:
        """Actors of fixed numbers: decoders take a core each, encoders a GPU each where there are any."""
        ray = self._ray
        machines = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        available = int(sum(node["Resources"]["CPU"] for node in machines))
        gpus = int(ray.cluster_resources().get("GPU", 0))
        decoders = min(self._plan.workers or max(1, available - len(machines)), max(1, available))
        plan = self._kept = ray.put(pickle.dumps(self._plan, protocol=5))

        def start(kind: type, count: int, *, spread: bool = False, **share: float) -> _Stage:
            """Those that take no core are one on each machine."""
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            actors = []
            for number in range(count):
                place: Any = "SPREAD"
                if spread:
                    place = NodeAffinitySchedulingStrategy(machines[number % len(machines)]["NodeID"], soft=True)
                options = {"max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": place, **share}
                actors.append(ray.remote(kind).options(**options).remote(plan))
            return _Stage(ray, actors)

        encoders = {"num_cpus": 0, "num_gpus": 1} if gpus else {"num_cpus": 0}
        self._stages = (
            start(Decode, decoders, num_cpus=1),
            start(Encode, gpus or len(machines), spread=not gpus, **encoders),
            start(Write, len(machines), spread=True, num_cpus=0),
        )
        return self._stages

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

    def close(self) -> None:
        """Let the actors go, and leave the cluster, if it was joined here; one that was started here ends."""
        for stage in self._stages:
            for actor in stage.actors:
                self._ray.kill(actor)
        self._stages = ()
        if self._started:
            self._ray.shutdown()


class _Stage:
    """The actors of a stage, and how many batches each decoder has before it."""

    def __init__(self, ray: Any, actors: list[Any]) -> None:
        self._ray = ray
        self.actors = actors
        self.load = dict.fromkeys(actors, 0)
        self._starting = {actor.ready.remote(): actor for actor in actors}
        self._turn = itertools.cycle(actors)

    def next(self) -> Any:
        """One after another."""
        return next(self._turn)

    def free(self) -> Any | None:
        """The actor with the fewest batches, of those that are there; None where all have enough.

        A machine may have no core left for some of them, which then come later or never: the others do the work.
        """
        if self._starting:
            there, _ = self._ray.wait(list(self._starting), num_returns=len(self._starting), timeout=0)
            for reference in there:
                self._ray.get(reference)  # what its start raised is raised here
                del self._starting[reference]
        waiting = set(self._starting.values())
        free = [actor for actor in self.actors if actor not in waiting and self.load[actor] < _UNDER_WAY]
        return min(free, key=self.load.__getitem__, default=None)


class Decode:
    """An actor that decodes: a worker process of its own does it, so that a crash or a stall costs one picture here, too."""

    def __init__(self, plan: bytes) -> None:
        known: Plan = pickle.loads(plan)
        self._pool = WorkerPool(known.config, workers=1, slots=1, batch=known.batch, patience=known.patience)

    def ready(self) -> None:
        """Answers once it is there."""

    def decode(self, batch: bytes) -> bytes:
        """Batches of `Todo` to results and pixels, uint8 `[n, height, width, channels]`."""
        begin = time.perf_counter()
        todos: list[Todo] = pickle.loads(batch)
        self._pool.submit(Task(0, [(todo.where, todo.known) for todo in todos]))
        while not (done := self._pool.collect(1.0)):
            pass
        results = done[0].results
        pixels = self._pool.pixels[0, : sum(isinstance(result, Decoded) for result in results)]
        seconds = {"decode": time.perf_counter() - begin}
        return pickle.dumps((todos, results, pixels, seconds), protocol=5)


class Encode:
    """An actor with the encoder."""

    def __init__(self, plan: bytes) -> None:
        known: Plan = pickle.loads(plan)
        self._encoder = Encoder(known.encoder, threads=known.threads or cores())

    def ready(self) -> None:
        """Answers once it is there."""

    def encode(self, batch: bytes) -> bytes:
        """Pixels to vectors, float32 `[n, D]`."""
        begin = time.perf_counter()
        todos, results, pixels, seconds = pickle.loads(batch)
        vectors = self._encoder.vectors(pixels) if len(pixels) else None
        seconds["encode"] = time.perf_counter() - begin
        return pickle.dumps((todos, results, vectors, seconds), protocol=5)


class Write:
    """An actor that writes to the server."""

    def __init__(self, plan: bytes) -> None:
        known: Plan = pickle.loads(plan)
        database = open_database(known.db, api_key=known.api_key, timeout=known.timeout, retry=patient(known.timeout))
        self._store = database.open(known.collection, known.generation)
        self._source, self._kept = known.source, known.kept

    def ready(self) -> None:
        """Answers once it is there."""

    def write(self, batch: bytes) -> bytes:
        """Results and vectors to points in the store, and to what the ledger has to know of them."""
        begin = time.perf_counter()
        todos, results, vectors, seconds = pickle.loads(batch)
        outcome = settle(todos, results, vectors, self._store.payload_fits)
        self._store.upsert(owned(self._store, outcome.points, self._source, self._kept))
        seconds["write"] = time.perf_counter() - begin
        return pickle.dumps((outcome._replace(points=[]), seconds), protocol=5)


def _start() -> tuple[Any, bool]:
    """Ray, and whether this process was not part of a cluster before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody was asked whether Ray may report home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("the engine 'ray'", "semblant-indexer[ray]") from error
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
        except Exception as error:  # ConnectionError, RuntimeError, and what its services raise
            address = os.environ.get("RAY_ADDRESS", "on this machine")
            raise StoreError(f"the Ray cluster {address} cannot be joined: {error}; is it running? (RAY_ADDRESS)") from error
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
