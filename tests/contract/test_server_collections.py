"""Collections on a Qdrant server: how they are configured, published, listed, dropped and made again."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from qdrant_client import models
from semblant_search.collection import RESERVED_FIELDS, FieldType, Manifest, StorageOptions
from semblant_search.errors import CollectionNotFound, StoreError, WhereError
from semblant_search.store.engines.qdrant.connection import RetryPolicy
from semblant_search.where import F
from support import servers
from support.samples import FIELDS, manifest, points
from support.servers import PROPER, REAL, Answer, StandIn, client_of, database_of, info, knows, own_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qdrant_client import QdrantClient
    from semblant_search.store.engines.qdrant.server import QdrantDatabase
    from semblant_search.where import Where


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    shared = servers.stand_in()
    shared.forget()
    yield shared
    shared.forget()  # answers that nothing asked for are no other test's


@pytest.fixture(scope="module", params=["stand-in", REAL])
def url(request: pytest.FixtureRequest) -> str:
    return servers.url_of(request.param)


@pytest.fixture(scope="module")
def database(url: str) -> Iterator[QdrantDatabase]:
    with closing(database_of(url)) as database:
        yield database


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[QdrantClient]:
    """What others do on the same server."""
    with closing(client_of(url)) as client:
        yield client


@pytest.fixture
def name(url: str) -> Iterator[str]:
    with own_name(url) as name:
        yield name


def said(value: Any) -> Any:
    """JSON without what is not set."""
    if isinstance(value, dict):
        return {key: said(each) for key, each in value.items() if each is not None}
    return value


MAX_SIM = {"comparator": "max_sim"}
SCALAR = {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}}
TURBO = {"turbo": {"bits": "bits4", "always_ram": True}}
BINARY = {"binary": {"always_ram": True}}
ON_DISK = {"on_disk": True, "hnsw_config": {"on_disk": True}}


@pytest.mark.parametrize(
    ("storage", "image"),
    [
        (StorageOptions(), {}),
        (StorageOptions(on_disk=True), ON_DISK),
        (StorageOptions("scalar"), {"quantization_config": SCALAR}),
        (StorageOptions("turbo", on_disk=True), {"quantization_config": TURBO, **ON_DISK}),
        (StorageOptions("binary"), {"quantization_config": BINARY}),
    ],
)
def test_vectors_are_kept_as_the_storage_options_say(
    url: str, database: QdrantDatabase, name: str, storage: StorageOptions, image: dict[str, Any]
) -> None:
    database.create(manifest(name, storage=storage, fields={"label": FieldType.KEYWORD, "price": FieldType.FLOAT}))
    answer = said(info(url, f"{name}__g0001"))
    params = answer["config"]["params"]
    assert params["vectors"] == {
        "image": {"size": 8, "distance": "Cosine", **image},
        "orb_features": {
            "size": 2,
            "distance": "Dot",
            "multivector_config": MAX_SIM,
            "hnsw_config": {"m": 0},
            "on_disk": True,
        },
        "cells": {"size": 3, "distance": "Cosine", "multivector_config": MAX_SIM, "hnsw_config": {"m": 0}},
    }
    assert params["sparse_vectors"] == {"orb": {"modifier": "idf"}}
    assert params["on_disk_payload"] is True
    assert "quantization_config" not in answer["config"]
    on_disk = {"on_disk": True} if storage.on_disk else {}
    assert {field: index["params"] for field, index in answer["payload_schema"].items()} == {
        "label": {"type": "keyword", "prefix": True, **on_disk},
        "price": {"type": "float", **on_disk},
    }
    assets = info(url, f"{name}__g0001__assets")["config"]["params"]
    assert (assets["vectors"], assets["on_disk_payload"]) == ({}, True)


def test_a_collection_is_spread_as_the_storage_options_say(stand_in: StandIn) -> None:
    said, params = StorageOptions(shards=4, replicas=3, write_consistency=2), ["shard_number", "replication_factor"]
    with own_name(stand_in.url) as name, closing(database_of(stand_in.url)) as database:
        stand_in.forget()
        database.create(manifest(name, storage=said))
        made = {each.path.rpartition("/")[2]: each.body for each in stand_in.requests("PUT") if each.path.count("/") == 2}
        assert [made[f"{name}__g0001"][param] for param in params] == [4, 3]
        assert [made[f"{name}__g0001__assets"].get(param) for param in params] == [None, 3]
        assert {body["write_consistency_factor"] for body in made.values()} == {2}
        kept = database.manifest(name, "g0001")
        assert kept is not None
        assert kept.storage == said
        stand_in.forget()
        database.create(manifest(name, "g0002"))
        bodies = [each.body for each in stand_in.requests("PUT") if each.path.count("/") == 2]
        assert not any(body.get(param) for body in bodies for param in params)  # which is the server's choice


def test_what_is_not_kept_has_no_vectors(url: str, database: QdrantDatabase, name: str) -> None:
    card = manifest().encoder
    plain = type(card)(card.name, card.architecture, card.fit, card.dim, card.objective)
    database.create(manifest(name, orb=None, encoder=plain))
    params = info(url, f"{name}__g0001")["config"]["params"]
    assert list(params["vectors"]) == ["image"]
    assert not params.get("sparse_vectors")  # a server that keeps none says nothing of them


def test_every_field_has_the_index_of_its_type(url: str, database: QdrantDatabase, name: str) -> None:
    fields = {field: kind for field, kind in FIELDS.items() if field not in ("label", "taken")}
    store = database.create(manifest(name, fields=fields))
    store.add_fields({"label": FieldType.KEYWORD, "taken": FieldType.DATETIME})
    schema = info(url, f"{name}__g0001")["payload_schema"]
    expected = {('"odd name"' if field == "odd name" else field): kind.value for field, kind in FIELDS.items()}
    assert {field: index["data_type"] for field, index in schema.items()} == expected


def test_only_the_users_fields_shape_the_graph(stand_in: StandIn) -> None:
    """As in a directory."""
    with own_name(stand_in.url) as name, closing(database_of(stand_in.url)) as database:
        stand_in.forget()
        database.create(manifest(name, fields={**RESERVED_FIELDS, "label": FieldType.KEYWORD}))
        told = {each.body["field_name"]: each.body["field_schema"] for each in stand_in.requests("PUT", "/index")}
    assert told.keys() == {*RESERVED_FIELDS, "label"}
    assert {field for field, schema in told.items() if schema.get("enable_hnsw") is not False} == {"label"}


def test_the_manifest_is_kept_with_the_collection(url: str, database: QdrantDatabase, name: str) -> None:
    made = manifest(name)
    store = database.create(made)
    wider = made.with_fields({"label": FieldType.KEYWORD})
    store.add_fields({"label": FieldType.KEYWORD})
    assert store.manifest == wider
    kept = info(url, f"{name}__g0001")["config"]["metadata"]["semblant"]
    assert Manifest.from_json(kept) == wider


def test_only_new_fields_are_indexed(stand_in: StandIn) -> None:
    with closing(database_of(stand_in.url)) as database:
        store = database.create(manifest("fields"))
        stand_in.forget()
        store.add_fields({"number": FieldType.INTEGER})
        assert stand_in.requests() == []
        store.add_fields({"number": FieldType.INTEGER, "label": FieldType.KEYWORD})
        assert [request.body["field_name"] for request in stand_in.requests("PUT", "/index")] == ["label"]


def test_publishing_replaces_the_serving_generation_in_one_request(stand_in: StandIn) -> None:
    """Between two requests readers would find nothing."""
    with closing(database_of(stand_in.url)) as database:
        for generation in ("g0001", "g0002"):
            database.create(manifest("published", generation))
            stand_in.forget()
            database.publish("published", generation)
            assert len(stand_in.requests("POST", "/aliases")) == 1
            assert database.collections()["published"] == generation
            assert database.open("published").manifest.generation == generation


def test_what_others_keep_on_the_server_is_not_semblants(database: QdrantDatabase, client: QdrantClient, name: str) -> None:
    for collection in (name, f"{name}-old"):
        database.create(manifest(collection, fields={}))
    database.publish(name, "g0001")
    aliases = {f"{name}-a": f"{name}__g0007", f"{name}-b": f"{name}-b__other", f"{name}-c": f"{name}-old__g0001"}
    for other in (f"{name}__g0007", f"{name}-b__other", f"{name}-theirs"):
        client.create_collection(other, vectors_config={})
    actions = [
        models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=collection, alias_name=alias))
        for alias, collection in aliases.items()
    ]
    client.update_collection_aliases(actions)
    ours = {collection: serving for collection, serving in database.collections().items() if collection.startswith(name)}
    assert ours == {name: "g0001"}
    assert database.generations(name) == ["g0001"]
    assert database.generations(f"{name}-b") == []
    with pytest.raises(CollectionNotFound, match="g0001"):
        database.open(name, "g0007")
    with pytest.raises(CollectionNotFound):
        database.publish(name, "g0007")


def test_an_alias_of_somebody_else_is_not_taken_over(database: QdrantDatabase, client: QdrantClient, name: str) -> None:
    client.create_collection(f"{name}-theirs", vectors_config={})
    create = models.CreateAlias(collection_name=f"{name}-theirs", alias_name=name)
    client.update_collection_aliases([models.CreateAliasOperation(create_alias=create)])
    database.create(manifest(name))
    with pytest.raises(StoreError, match=f"alias '{name}' of '{name}-theirs'.*another name"):
        database.publish(name, "g0001")
    aliases = {alias.alias_name: alias.collection_name for alias in client.get_aliases().aliases}
    assert aliases[name] == f"{name}-theirs"
    with pytest.raises(StoreError, match=f"alias '{name}'"):
        database.check_name(name)


def test_a_collection_of_somebody_else_is_told_before_its_name_is_needed(
    database: QdrantDatabase, client: QdrantClient, name: str
) -> None:
    client.create_collection(name, vectors_config={})
    with pytest.raises(StoreError, match=f"collection '{name}', which is not Semblant's.*another name"):
        database.check_name(name)
    database.create(manifest(name))
    with pytest.raises(StoreError, match=f"collection '{name}', which is not Semblant's"):
        database.publish(name, "g0001")
    client.delete_collection(name)
    database.check_name(name)
    database.publish(name, "g0001")
    database.check_name(name)


def test_generations_are_listed_by_number(database: QdrantDatabase, name: str) -> None:
    generations = ["g10000", "g0010", "g0009", "g9999", "g0100"]
    for generation in generations:
        database.create(manifest(name, generation, fields={}))
    assert database.generations(name) == ["g0009", "g0010", "g0100", "g9999", "g10000"]


def test_dropping_leaves_nothing_and_spares_what_serves(database: QdrantDatabase, client: QdrantClient, name: str) -> None:
    for generation in ("g0001", "g0002"):
        database.create(manifest(name, generation)).put_asset("encoder.onnx", b"x")
    database.publish(name, "g0002")
    with pytest.raises(StoreError, match="serving"):
        database.drop(name, "g0002")
    database.drop(name, "g0001")
    left = {each.name for each in client.get_collections().collections if each.name.startswith(name)}
    assert left == {f"{name}__g0002", f"{name}__g0002__assets"}
    assert database.open(name).asset("encoder.onnx") == b"x"


def test_what_a_killed_job_left_is_made_anew(url: str, database: QdrantDatabase, client: QdrantClient, name: str) -> None:
    """Without a manifest it was no generation yet."""
    other = models.VectorParams(size=3, distance=models.Distance.DOT)
    for rest in (f"{name}__g0001", f"{name}__g0001__assets"):
        client.create_collection(rest, vectors_config={"image": other})
        client.upsert(rest, [models.PointStruct(id=points(1)[0].id, vector={"image": [1.0, 2.0, 3.0]}, payload={"name": "x"})])
    assert database.generations(name) == []
    store = database.create(manifest(name))
    assert store.count() == 0
    assert info(url, f"{name}__g0001")["config"]["params"]["vectors"]["image"]["size"] == 8
    assert info(url, f"{name}__g0001__assets")["points_count"] == 0
    with pytest.raises(StoreError, match="already has a generation"):
        database.create(manifest(name))


def test_a_generation_that_was_not_finished_is_none(stand_in: StandIn) -> None:
    """The manifest is written last."""
    with closing(database_of(stand_in.url)) as database:
        stand_in.forget()
        database.create(manifest("unfinished"))
        count = len(stand_in.requests())
        for cut in range(count - 1):
            database.drop("unfinished", "g0001")
            stand_in.answer(*[PROPER] * cut, Answer(400))
            with pytest.raises(StoreError):
                database.create(manifest("unfinished"))
            assert database.generations("unfinished") == [], cut


def test_lost_answers_change_nothing(stand_in: StandIn) -> None:
    """Whatever request it is whose answer does not arrive: it is made again, and that does no harm."""
    with closing(database_of(stand_in.url, retry=RetryPolicy(first_wait=0))) as database:
        lost, most = 0, 100
        while lost < most:
            name = f"lost-{lost}"
            stand_in.forget()
            stand_in.answer(*[PROPER] * lost, Answer(503, done=True))
            for generation in ("g0001", "g0002"):
                database.create(manifest(name, generation))
                database.publish(name, generation)
            database.drop(name, "g0001")
            most = len(stand_in.requests())
            assert database.generations(name) == ["g0002"]
            assert database.collections()[name] == "g0002"
            lost += 1


@pytest.fixture
def older(stand_in: StandIn) -> Iterator[Callable[[str], QdrantDatabase]]:
    """A database on a server of another version."""
    with ExitStack() as stack:
        stack.callback(stand_in.version, "")

        def of(version: str) -> QdrantDatabase:
            stand_in.version(version)
            return stack.enter_context(closing(database_of(stand_in.url)))

        yield of


@pytest.mark.parametrize("version", ["1.15.5", "0.99.0", "dev"])
def test_servers_that_are_too_old_for_everything_are_refused(older: Callable[[str], QdrantDatabase], version: str) -> None:
    database = older(version)
    refused = f"is Qdrant {re.escape(version)}; Semblant needs at least 1.16: update"
    with pytest.raises(StoreError, match=refused):
        database.create(manifest("too-old"))
    with pytest.raises(StoreError, match=refused):
        database.open("too-old")


@pytest.mark.parametrize("version", ["1.16.0", "1.20.0-dev", "2.0.1"])
def test_a_server_is_asked_once_for_its_version(
    older: Callable[[str], QdrantDatabase], stand_in: StandIn, version: str
) -> None:
    name = f"version-{version.replace('.', '-')}"
    database = older(version)
    database.create(manifest(name))
    store = database.open(name, "g0001")
    assert store.count(F("number") > 1) == 0
    assert len([request for request in stand_in.requests("GET") if request.path == "/"]) == 1


@pytest.mark.parametrize(
    ("where", "before", "since"),
    [
        (F("label").startswith("a"), "1.18.9", "1.19"),
        (F("label").contains("a"), "1.19.9", "1.20"),
        (~((F("number") > 1) | F("label").contains("a")) & (F("number") < 9), "1.16.0", "1.20"),
    ],
)
def test_a_filter_that_a_server_is_too_old_for_is_refused_by_name(
    older: Callable[[str], QdrantDatabase], where: Where, before: str, since: str
) -> None:
    name = f"filters-{before.replace('.', '-')}-{since.replace('.', '-')}"
    store = older(before).create(manifest(name, fields={"label": FieldType.KEYWORD, "number": FieldType.INTEGER}))
    with pytest.raises(StoreError, match=rf"is Qdrant {before}; .*\(label, .a.\).* came with {since}: update the server"):
        store.count(where)
    assert store.count(F("label") == "a") == 0
    with pytest.raises(WhereError, match="text"):  # whatever the server, the field is none of text
        store.count(F("number").contains("a"))
    if knows((int(since.split(".")[0]), int(since.split(".")[1]))):  # the real one, where there is one
        assert older(f"{since}.0").open(name, "g0001").count(where) == 0


def test_a_quantization_that_a_server_is_too_old_for_is_refused_by_name(older: Callable[[str], QdrantDatabase]) -> None:
    turbo = manifest("turbo", storage=StorageOptions("turbo"))
    database = older("1.17.1")
    with pytest.raises(StoreError, match=r"is Qdrant 1\.17\.1; TurboQuant .* came with 1\.18: choose scalar or binary"):
        database.create(turbo)
    assert database.generations("turbo") == []
    older("1.18.0").create(turbo)
