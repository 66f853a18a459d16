"""One job at a time on a collection of a server: who comes second is told, and who died or fell asleep keeps nobody out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from semblant_search.errors import CollectionNotFound, StoreLocked
from semblant_search.store.engines import process
from semblant_search.store.engines.qdrant import lease
from semblant_search.store.engines.qdrant.connection import RetryPolicy
from support import servers
from support.grpc_bridge import bridge
from support.samples import manifest, points
from support.servers import REAL, StandIn, database_of, own_name, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from semblant_search.store.engines.qdrant.server import QdrantDatabase

HOLDING = """
import sys, time
from support.servers import database_of
with database_of(sys.argv[1]).claim(sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module", params=["stand-in", "strict", REAL])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "strict":
        with server("--strict") as strict:
            yield strict
    else:
        yield servers.url_of(request.param)


@pytest.fixture
def databases(url: str) -> Iterator[Callable[[], QdrantDatabase]]:
    """Makes databases, each as of another process."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(database_of(url)))


@pytest.fixture
def name(url: str) -> Iterator[str]:
    with own_name(url) as name:
        yield name


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell whether a holder lives, as if it ran on another machine."""
    monkeypatch.setattr(process, "this_process", lambda: "")
    monkeypatch.setattr(lease, "this_process", lambda: "")


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch, elsewhere: None) -> None:
    """Leases end after a moment, and nobody renews them."""
    monkeypatch.setattr(lease, "TTL", 0.2)
    monkeypatch.setattr(lease, "RENEWAL", 600.0)


def test_the_second_is_told_who_works_and_until_when(databases: Callable[[], QdrantDatabase], name: str) -> None:
    one, other = databases(), databases()
    with one.claim(name) as claim:
        with pytest.raises(StoreLocked, match="another job at work") as told, other.claim(name):
            pass
        assert f"'{name}'" in str(told.value)
        found = re.search(rf"process {os.getpid()} on .*, since (\S+), until (\S+) unless", str(told.value))
        assert found
        since, until = (datetime.fromisoformat(moment.replace("Z", "+00:00")) for moment in found.groups())
        assert until - since >= timedelta(seconds=60)
        assert "--wait" in str(told.value)
        claim.check()
        claim.confirm()
        with other.claim(f"{name}-other"):
            pass
    with other.claim(name):
        pass


def test_who_waits_gets_it_at_the_end(databases: Callable[[], QdrantDatabase], name: str) -> None:
    one, other = databases(), databases()
    with one.claim(name) as claim:
        held = threading.Event()

        def wait() -> None:
            with other.claim(name, wait=60):
                held.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not held.wait(0.5)
        claim.confirm()
    waiting.join()
    assert held.is_set()


def claim_together(databases: Sequence[QdrantDatabase], name: str) -> int:
    """How many get the claim of those that want it in the same moment, and do not let it go before all have tried."""
    together, got = threading.Barrier(len(databases)), []

    def claim(database: QdrantDatabase) -> None:
        together.wait()
        with ExitStack() as held:
            with suppress(StoreLocked):
                got.append(held.enter_context(database.claim(name)))
            together.wait()

    threads = [threading.Thread(target=claim, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(got)


def test_of_many_at_once_one_gets_it(databases: Callable[[], QdrantDatabase], name: str) -> None:
    """Also where nobody ever claimed the collection."""
    many = [databases() for _ in range(6)]
    assert [claim_together(many, f"{name}-{attempt}") for attempt in (0, 0, 1, 2)] == [1] * 4


def test_a_killed_holder_of_this_machine_keeps_nobody_out(url: str, databases: Callable[[], QdrantDatabase], name: str) -> None:
    command = [sys.executable, "-c", HOLDING, url, name]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLocked, match=f"process {holder.pid} "), databases().claim(name):
            pass
        holder.kill()
        while True:  # until the system has ended it
            with suppress(StoreLocked), databases().claim(name):
                break


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("skew", [-3600, 0, 3600])
def test_a_lease_ends_by_the_clock_of_who_waits(
    databases: Callable[[], QdrantDatabase], name: str, monkeypatch: pytest.MonkeyPatch, skew: int
) -> None:
    """Whatever the clock of the holder says: what counts is that nothing moved for as long as the lease lasts."""
    now = (datetime.now(timezone.utc) + timedelta(seconds=skew)).isoformat(timespec="seconds")
    monkeypatch.setattr(lease, "_now", lambda: now)
    monkeypatch.setattr(lease, "TTL", 1.0)
    monkeypatch.setattr(lease, "RENEWAL", 0.1)
    with databases().claim(name):  # which is renewed, and so is not taken by who waits for longer than it lasts
        with pytest.raises(StoreLocked, match="another job"), databases().claim(name, wait=2.5):
            pass
        monkeypatch.setattr(lease, "RENEWAL", 600.0)
        with databases().claim(name, wait=60) as taken:  # by now nobody renews it any more
            taken.confirm()


@pytest.mark.usefixtures("asleep")
def test_who_lost_it_changes_nothing_more(databases: Callable[[], QdrantDatabase], name: str) -> None:
    one, other = databases(), databases()
    with one.claim(name) as claim:
        serving, store = one.create(manifest(name)), one.create(manifest(name, "g0002"))
        for each in (serving, store):
            each.upsert(points(2))
        one.publish(name, "g0001")
        with other.claim(name, wait=60):
            changes: list[Callable[[], Any]] = [
                claim.check,
                claim.confirm,
                lambda: store.upsert(points(3)),
                lambda: store.delete([points(1)[0].id]),
                lambda: store.set_payloads({points(1)[0].id: {}}),
                lambda: store.put_asset("a", b"1"),
                lambda: store.drop_asset("a"),
                lambda: store.add_fields({"added": next(iter(store.manifest.fields.values()))}),
                lambda: one.publish(name, "g0002"),
                lambda: one.drop(name, "g0002"),
                lambda: one.create(manifest(name, "g0003")),
            ]
            for change in changes:
                with pytest.raises(StoreLocked, match=f"lost its claim on collection '{name}'.*of process .* now.*kept"):
                    change()
            assert store.count() == 2  # reading is no matter of it
    with pytest.raises(StoreLocked, match="lost its claim"):
        store.upsert(points(3))
    assert other.generations(name) == ["g0001", "g0002"]
    assert other.collections()[name] == "g0001"
    assert other.open(name, "g0002").count() == 2
    with databases().claim(name):
        pass


@pytest.mark.usefixtures("asleep")
def test_who_overslept_and_was_not_missed_goes_on(databases: Callable[[], QdrantDatabase], name: str) -> None:
    database = databases()
    with database.claim(name):
        store = database.create(manifest(name))
        threading.Event().wait(0.5)
        store.upsert(points(2))
        assert store.count() == 2


@pytest.mark.usefixtures("asleep")
def test_who_lost_it_does_not_give_it_back_for_another(databases: Callable[[], QdrantDatabase], name: str) -> None:
    one, other = databases(), databases()
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(one.claim(name))
        claim = second.enter_context(other.claim(name, wait=60))
        first.close()
        claim.confirm()


@pytest.mark.usefixtures("asleep")
def test_a_program_that_lost_it_over_one_change_may_make_others(databases: Callable[[], QdrantDatabase], name: str) -> None:
    one, other = databases(), databases()
    store = one.create(manifest(name))
    with one.claim_opened(name), other.claim(name, wait=60), pytest.raises(StoreLocked, match="lost its claim"):
        store.upsert(points(2))
    store.upsert(points(2))
    assert store.count() == 2


def test_a_lease_that_is_gone_is_lost(url: str, databases: Callable[[], QdrantDatabase], name: str) -> None:
    database = databases()
    with closing(servers.client_of(url)) as client, database.claim(name) as claim:
        client.delete_collection(f"{name}{lease.LEASE}")
        lease_patience, lease._PATIENCE = lease._PATIENCE, 0.1
        try:
            with pytest.raises(StoreLocked, match="somebody else had it"):
                claim.confirm()
        finally:
            lease._PATIENCE = lease_patience
    assert database.generations(name) == []
    with pytest.raises(CollectionNotFound):
        database.open(name)


def test_what_is_no_job_needs_no_claim(databases: Callable[[], QdrantDatabase], name: str) -> None:
    one, other = databases(), databases()
    store = one.create(manifest(name))
    with other.claim(name):
        store.upsert(points(2))
    assert store.count() == 2


def test_rest_and_grpc_claims_are_one() -> None:
    with server() as url, bridge(url) as grpc, ExitStack() as stack:
        one, other = (stack.enter_context(closing(database_of(each))) for each in (url, grpc))
        for first, second in ((one, other), (other, one)):
            with first.claim("images") as claim:
                with pytest.raises(StoreLocked, match=f"process {os.getpid()} "), second.claim("images"):
                    pass
                claim.confirm()
        with other.claim("others"), pytest.raises(StoreLocked), one.claim("others"):
            pass


def test_answers_that_are_lost_lose_no_claim() -> None:
    with server("--faults", "0.3", "--only", "503", "reset after", "reset before", "cut", "--seed", "1") as url:
        retry = RetryPolicy(attempts=20, first_wait=0.01, longest_wait=0.05)
        with closing(database_of(url, retry=retry)) as one, closing(database_of(url, retry=retry)) as other:
            for _ in range(5):
                with one.claim("images") as claim:
                    claim.confirm()
                    with pytest.raises(StoreLocked, match="another job"), other.claim("images"):
                        pass
                    claim.confirm()


def test_a_claim_costs_a_few_requests() -> None:
    with server() as url, closing(database_of(url)) as database:
        stand_in = StandIn(url)
        with database.claim("images") as claim:
            store = database.create(manifest("images"))
            stand_in.forget()
            store.upsert(points(2))
            claim.check()
            assert [request.method for request in stand_in.requests()] == ["PUT"]
        stand_in.forget()
        with database.claim("images"):
            assert len(stand_in.requests()) <= 5


def test_a_process_is_dead_once_it_has_ended() -> None:
    code = "from semblant_search.store.engines.process import this_process; print(this_process(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        place = other.stdout.readline().strip()
        if not place:
            pytest.skip("this system does not tell")
        assert not process.is_dead(place)
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # ended, and not collected yet
        assert process.is_dead(place)
    assert process.is_dead(place)
    assert not process.is_dead(process.this_process())
    for strange in ("", "a b c", "a b c d e", place.replace(place.split()[0], "other"), f"{place} more"):
        assert not process.is_dead(strange)
    assert process.is_dead(re.sub(r"\d+$", "1", process.this_process()))  # the number was given again
