"""The Helm chart: what it makes of a matrix of values is what Kubernetes takes, restricted, and what was asked for."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from semblant_search.cli import semblant
from support.golden import unpack_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the group `release`")
helm = pytest.importorskip("helm_python", reason="helm-python-sdk comes with the group `release`")
validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate comes with the group `release`").validate

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = ("1.29", "1.37")
"""The oldest and the newest that the manifests are held to."""

EMBEDDED: dict[str, Any] = {
    "qdrant": {"enabled": False},
    "embedded": {"enabled": True},
    "index": {"enabled": True, "source": "s3://a"},
}
ADDRESS: dict[str, Any] = {"qdrant": {"enabled": False}, "database": {"url": "https://a:6333,https://b:6333"}}
PICTURES: dict[str, Any] = {"pictures": {"claim": "shared"}}
INDEX: dict[str, Any] = {"index": {"enabled": True, "encoder": "/pictures/encoder.onnx", "args": ["--exclude", "it's"]}}
SNAPSHOT: dict[str, Any] = {"snapshot": {"enabled": True}}
KEYED: dict[str, Any] = {"qdrant": {"apiKeySecret": "qdrant-key"}}
MATRIX: Mapping[str, dict[str, Any]] = {
    "as it is": {},
    "an address": {**ADDRESS, "service": {"replicas": 5, "readOnly": True}},
    "an address with a key": {**ADDRESS, "database": {**ADDRESS["database"], "apiKeySecret": "key", "collection": "art"}},
    "embedded": EMBEDDED,
    "embedded, indexed at the start": {**EMBEDDED, **PICTURES, **INDEX, "networkPolicy": {"indexEgress": [{}]}},
    "all of it": {
        **KEYED,
        **PICTURES,
        **INDEX,
        **SNAPSHOT,
        "restore": {"file": "images-20260102T030405Z.tar"},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "service": {"originals": True, "args": ["--max-limit", "10"]},
        "networkPolicy": {"from": [{"namespaceSelector": {}}], "indexEgress": [{"ports": [{"port": 443}]}]},
        "image": {"pullSecrets": ["registry"]},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"a": "b"},
    },
    "jobs over a bucket": {**ADDRESS, "index": {"enabled": True, "source": "s3://bucket/pictures"}},
    "an own claim": {**SNAPSHOT, "snapshot": {"enabled": True, "claim": "backups"}},
    "without policies": {"networkPolicy": {"enabled": False}, **SNAPSHOT},
}
REFUSED: Mapping[str, tuple[dict[str, Any], str]] = {
    "two databases": ({"embedded": {"enabled": True}}, "set exactly one of"),
    "none": ({"qdrant": {"enabled": False}}, "0 databases are named"),
    "a snapshot of a directory": ({**EMBEDDED, **SNAPSHOT}, "need a server"),
    "a directory that nothing writes": ({**EMBEDDED, "index": {"enabled": False}}, "embedded.enabled needs index.enabled"),
    "a restore from nowhere": ({"restore": {"file": "a.tar"}}, "which volume"),
    "a folder of no volume": ({"index": {"enabled": True}}, "index.source is /pictures, a path: it needs pictures.claim"),
    "originals without files": ({"service": {"originals": True}}, "needs pictures.claim"),
    "a word that is none": ({"services": {}}, "services"),
    "a schedule that is none": ({"index": {"schedule": "daily"}}, "schedule"),
    "a password in an address": ({**ADDRESS, "database": {"url": "https://u:p@q:6333"}}, "url"),
    "a file elsewhere": ({"restore": {"file": "../a.tar"}}, "file"),
}


@pytest.fixture(scope="module", name="chart")
def loaded() -> Iterator[Any]:
    with helm.Chart.load(DEPLOY / "chart") as chart:
        yield chart


def _documents(chart: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    chart.validate_schema(values)
    files = chart.render(values, name="shop", namespace="pictures")
    return [found for name, text in files.items() if name.endswith(".yaml") for found in yaml.safe_load_all(text) if found]


def _pods(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for document in documents:
        spec = document.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            yield template["spec"]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("name", MATRIX)
def test_kubernetes_takes_what_the_chart_makes(name: str, chart: Any) -> None:
    documents = _documents(chart, MATRIX[name])
    assert len({(document["kind"], document["metadata"]["name"]) for document in documents}) == len(documents)
    for document in documents:
        if document["kind"] == "ServiceMonitor":  # of an operator, with no schema here
            continue
        for version in KUBERNETES:
            validate(document, version, strict=True)


@pytest.mark.parametrize("name", MATRIX)
def test_every_pod_is_restricted(name: str, chart: Any) -> None:
    """The profile `restricted` of Pod Security, and a root that cannot be written."""
    for pod in _pods(_documents(chart, MATRIX[name])):
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert security["runAsUser"] > 0
        assert pod["automountServiceAccountToken"] is False
        for container in _containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            claimed = {volume["name"] for volume in pod["volumes"]} | {"data", "storage"}
            assert mounted <= claimed
        assert all(set(volume) - {"name"} <= {"emptyDir", "secret", "persistentVolumeClaim"} for volume in pod["volumes"])


@pytest.mark.parametrize("name", MATRIX)
def test_every_line_is_one_that_semblant_takes(name: str, chart: Any) -> None:
    lines = []
    for pod in _pods(_documents(chart, MATRIX[name])):
        for container in _containers(pod):
            words = container.get("args") or container.get("command", [])[4:]
            if container["name"] == "index":
                lines.append(["index", *words])
            elif container["name"] == "snapshot":
                script = container["command"][2].splitlines()[0]
                lines.append([word.replace("$1", "images") for word in shlex.split(script)[1:]])
            elif container["name"] != "qdrant":
                lines.append(words)
    assert lines
    for command, *words in lines:
        found = semblant.get_command(click.Context(semblant), command)
        assert found is not None
        there = [__file__ if word.startswith("/snapshots/") and command == "restore-snapshot" else word for word in words]
        found.make_context(command, [*there, "--db", "x"])  # parses, and runs nothing


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_before_it_is_installed(name: str, chart: Any) -> None:
    values, words = REFUSED[name]
    with pytest.raises(helm.HelmError, match=words):
        _documents(chart, values)


def test_what_was_asked_for_is_there(chart: Any) -> None:
    def kinds(name: str) -> set[tuple[str, str]]:
        return {(document["kind"], document["metadata"]["name"]) for document in _documents(chart, MATRIX[name])}

    assert {("Deployment", "shop-semblant"), ("StatefulSet", "shop-semblant-qdrant")} <= kinds("as it is")
    assert ("ServiceMonitor", "shop-semblant") not in kinds("as it is")
    assert ("PodDisruptionBudget", "shop-semblant") in kinds("an address")
    assert kinds("embedded") == {(kind, "shop-semblant") for kind in ("StatefulSet", "Service", "NetworkPolicy")}
    everything = {document["metadata"]["name"]: document for document in _documents(chart, MATRIX["all of it"])}
    for name in ("shop-semblant-index", "shop-semblant-snapshot"):
        assert everything[name]["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_service_has_all_three_probes(chart: Any) -> None:
    for name in ("an address", "embedded"):
        (pod,) = [pod for pod in _pods(_documents(chart, MATRIX[name])) if pod["containers"][0]["name"] == "service"]
        paths = {
            probe: pod["containers"][0][probe]["httpGet"]["path"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        }
        assert paths == {"startupProbe": "/readyz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
        assert pod["terminationGracePeriodSeconds"] > 30


def test_a_snapshot_is_written_and_the_oldest_goes(chart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script of the CronJob, over a database of tests/golden instead of a server."""
    values = {"snapshot": {"enabled": True, "keep": 1}, "database": {"collection": "golden"}}
    (pod,) = [pod for pod in _pods(_documents(chart, values)) if pod["containers"][0]["name"] == "snapshot"]
    folder = tmp_path / "snapshots"
    folder.mkdir()
    shell, flags, script, *words = pod["containers"][0]["command"]
    monkeypatch.setenv("SEMBLANT_DB", str(unpack_database(2, tmp_path)))
    monkeypatch.setenv("PATH", f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    (folder / "golden-20200101T000000Z.tar").touch()
    kept = {"others-20200101T000000Z.tar", "golden-2-20200101T000000Z.tar", "golden-before-the-upgrade.tar", "golden-2020.tar"}
    for name in ("golden-20190101T000000Z.tar", *kept):  # of other collections, or named by hand
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    command = [shell, flags, script.replace("/snapshots", str(folder)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in folder.iterdir())
    assert kept < set(names)
    (new,) = set(names) - kept
    assert "golden-2021" < new < "golden-3"
    command[2] = command[2].replace("semblant snapshot", "false")  # what cannot be written takes none of the older away
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode != 0
    assert sorted(path.name for path in folder.iterdir()) == names


def test_helm_finds_no_fault() -> None:
    for values in ({}, MATRIX["all of it"], EMBEDDED):
        report = helm.lint(DEPLOY / "chart", values, strict=True)
        assert report["errors"] == []
        assert [message for message in report["messages"] if message["severity"] > 1] == []


def test_the_schema_knows_every_value_and_no_other() -> None:
    def names(tree: Any, schema: Mapping[str, Any]) -> None:
        if isinstance(tree, dict) and "properties" in schema:
            assert set(tree) == set(schema["properties"]) - {"global", "claims"}
            for name, below in tree.items():
                names(below, schema["properties"][name])

    values = yaml.safe_load((DEPLOY / "chart" / "values.yaml").read_text(encoding="utf-8"))
    names(values, json.loads((DEPLOY / "chart" / "values.schema.json").read_text(encoding="utf-8")))


def test_the_manifests_are_what_the_chart_makes() -> None:
    script = runpy.run_path(str(DEPLOY / "render_manifests.py"))
    for file in script["KINDS"]:
        kept = (DEPLOY / "manifests" / file).read_text(encoding="utf-8")
        assert script["rendered"](file) == kept, "run python deploy/render_manifests.py"
    (job,) = yaml.safe_load_all((DEPLOY / "manifests" / "restore.yaml").read_text(encoding="utf-8"))
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][0] == "restore-snapshot"
    server = list(yaml.safe_load_all((DEPLOY / "manifests" / "server.yaml").read_text(encoding="utf-8")))
    claims = {document["metadata"]["name"] for document in server if document["kind"] == "PersistentVolumeClaim"}
    (claim,) = [each["persistentVolumeClaim"]["claimName"] for each in job["spec"]["template"]["spec"]["volumes"][:1]]
    assert claim in claims


def _policy(chart: Any, values: dict[str, Any], name: str = "shop-semblant") -> dict[str, Any]:
    documents = _documents(chart, values)
    (found,) = [each for each in documents if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == name]
    spec: dict[str, Any] = found["spec"]
    return spec


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("http://q:6333", {6333}),
        ("https://q", {6333}),
        ("grpc://q:6334", {6333, 6334}),
        ("grpcs://q", {6333, 6334}),
        ("https://q:443/qdrant/", {6333, 443}),
        ("http://a:7000,http://b:7001", {6333, 7000, 7001}),
    ],
)
def test_what_the_database_s_address_names_is_let_through(url: str, ports: set[int], chart: Any) -> None:
    values = {**ADDRESS, "database": {"url": url}}
    for name in ("shop-semblant", "shop-semblant-jobs"):
        egress = _policy(chart, values, name)["egress"]
        assert {port["port"] for rule in egress for port in rule["ports"]} == ports | {53}


def test_prometheus_comes_in_where_there_is_a_monitor_and_only_then(chart: Any) -> None:
    monitor = {"enabled": True, "from": "watching"}
    (rule,) = _policy(chart, {"serviceMonitor": monitor})["ingress"]
    allowed = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "watching"}}}
    assert rule["from"] == [{"podSelector": {}}, allowed]
    (rule,) = _policy(chart, {})["ingress"]
    assert rule["from"] == [{"podSelector": {}}]


def test_a_node_can_be_drained_with_one_pod_too(chart: Any) -> None:
    for replicas in (1, 2):
        documents = _documents(chart, {"service": {"replicas": replicas}})
        (budget,) = [document for document in documents if document["kind"] == "PodDisruptionBudget"]
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"]


def test_the_chart_asks_for_no_older_kubernetes_than_was_tried() -> None:
    chart = yaml.safe_load((DEPLOY / "chart" / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["kubeVersion"] == f">={KUBERNETES[0]}.0-0"
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert f"Kubernetes {KUBERNETES[0]} to {KUBERNETES[1]}" in " ".join(readme.split())
