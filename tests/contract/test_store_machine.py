"""Whatever is done to a store, in whatever order, it holds and answers what a plain Python model does."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from semblant_search.collection import FieldType, point_id
from semblant_search.store import Nearest, Point, SearchRequest, open_database
from semblant_search.where import parse_where
from support.servers import database_of, own_name, stand_in
from support.small_stores import manifest, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from semblant_search.store import Database, Store

DIM = 8
URIS = [f"file:///pictures/{number:02d}.png" for number in range(12)]
FIELDS = {"label": FieldType.KEYWORD, "price": FieldType.FLOAT, "stock": FieldType.INTEGER, "tags": FieldType.KEYWORD}
VECTORS = unit_vectors(40, DIM, seed=3)
JUDGES: dict[str, Callable[[dict[str, Any]], bool]] = {
    'label == "bag"': lambda facts: facts.get("label") == "bag",
    "price < 3": lambda facts: facts.get("price") is not None and facts["price"] < 3,
    "stock >= 2 and not tags == 'new'": lambda facts: facts.get("stock", -1) >= 2 and "new" not in facts.get("tags", []),
}
payloads = st.fixed_dictionaries(
    {},
    optional={
        "label": st.sampled_from(["bag", "boot", "Ä ö\n"]),
        "price": st.sampled_from([0.0, 2.5, 3.0, 1e12]),
        "stock": st.integers(-3, 3),
        "tags": st.lists(st.sampled_from(["new", "sale", "red"]), max_size=3, unique=True),
        "note": st.none() | st.text(max_size=5).filter(lambda text: text.isprintable()),
    },
)
pictures = st.integers(0, len(URIS) - 1)
vectors = st.integers(0, len(VECTORS) - 1)


class Machine(RuleBasedStateMachine):
    """A store, and a dict that is told the same."""

    place: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.work = Path(tempfile.mkdtemp())
        self.model: dict[str, tuple[np.ndarray, dict[str, Any]]] = {}

    @initialize()
    def begin(self) -> None:
        self.db: Database = self._database()
        self.naming = own_name(self.db.location)
        self.name = self.naming.__enter__()
        facts = manifest()
        self.store: Store = self.db.create(type(facts)(**{**vars(facts), "collection": self.name}))
        self.store.add_fields(FIELDS)

    def _database(self) -> Database:
        if self.place == "server":
            return database_of(stand_in().url)
        return open_database(self.work / "db", create=True)

    @rule(chosen=st.lists(st.tuples(pictures, vectors, payloads), min_size=1, max_size=4, unique_by=lambda one: one[0]))
    def write(self, chosen: list[tuple[int, int, dict[str, Any]]]) -> None:
        points = []
        for picture, vector, payload in chosen:
            uri = URIS[picture]
            points.append(Point(point_id(uri), VECTORS[vector], {"_uri": uri, **payload}))
            self.model[point_id(uri)] = (VECTORS[vector], {"_uri": uri, **payload})
        self.store.upsert(points)

    @rule(picture=pictures, payload=payloads)
    def change(self, picture: int, payload: dict[str, Any]) -> None:
        id = point_id(URIS[picture])
        if id in self.model:
            facts = {"_uri": URIS[picture], **payload}
            self.model[id] = (self.model[id][0], facts)
            self.store.set_payloads({id: facts})

    @rule(chosen=st.lists(pictures, max_size=3, unique=True))
    def delete(self, chosen: list[int]) -> None:
        ids = [point_id(URIS[picture]) for picture in chosen]
        for id in ids:
            self.model.pop(id, None)
        self.store.delete(ids)

    @rule()
    def optimize(self) -> None:
        self.store.optimize()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.db.open(self.name, "g0001")

    @rule()
    def kill(self) -> None:
        """What a killed process leaves is what lies on the disk while the store is open."""
        if self.place == "server":
            return
        shutil.copytree(self.work / "db", self.work / "copy")
        self.store.close()
        self.db.close()
        shutil.rmtree(self.work / "db")
        (self.work / "copy").rename(self.work / "db")
        self.db = self._database()
        self.store = self.db.open(self.name, "g0001")

    @rule(vector=vectors, limit=st.integers(1, 15), offset=st.integers(0, 3), text=st.sampled_from([None, *JUDGES]))
    def query(self, vector: int, limit: int, offset: int, text: str | None) -> None:
        asked = VECTORS[vector]
        chosen = self._chosen(text)
        where = None if text is None else parse_where(text)
        hits = self.store.query(SearchRequest(Nearest(asked), limit, offset, where, exact=True))
        scores = sorted((float(image @ asked) for image, _ in chosen.values()), reverse=True)[offset : offset + limit]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-5)
        for hit in hits:
            assert hit.payload == chosen[hit.id][1]
            assert hit.score == pytest.approx(float(chosen[hit.id][0] @ asked), abs=1e-5)

    @rule(text=st.sampled_from([None, *JUDGES]), field=st.sampled_from(["label", "stock", "tags"]))
    def count(self, text: str | None, field: str) -> None:
        where = None if text is None else parse_where(text)
        chosen = [facts for _, facts in self._chosen(text).values()]
        assert self.store.count(where) == len(chosen)
        expected: dict[Any, int] = {}
        for facts in chosen:
            found = facts.get(field, [])
            for value in found if isinstance(found, list) else [found]:
                expected[value] = expected.get(value, 0) + 1
        assert self.store.facet(field, where=where) == expected

    @invariant()
    def it_holds_what_it_was_given(self) -> None:
        if not hasattr(self, "store"):
            return
        records = list(self.store.scroll(with_image=True))
        assert [record.id for record in records] == sorted(self.model)
        for record in records:
            image, facts = self.model[record.id]
            assert record.payload == facts
            assert record.image == pytest.approx(image, abs=1e-5)

    def _chosen(self, text: str | None) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
        return {id: one for id, one in self.model.items() if text is None or JUDGES[text](one[1])}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            with closing(self.db), closing(self.store):
                self.naming.__exit__(None, None, None)
        shutil.rmtree(self.work)


@pytest.mark.parametrize(("place", "examples"), [("directory", 5), ("server", 12)])
def test_a_store_is_what_a_dict_is(place: str, examples: int) -> None:
    run_state_machine_as_test(
        type("Machine", (Machine,), {"place": place}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
