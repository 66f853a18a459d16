"""Writes `manifests/`: what the chart makes of the values that most people want, for clusters without Helm.

python deploy/render_manifests.py
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPLOY = Path(__file__).parent
MANIFESTS = DEPLOY / "manifests"
KINDS: Mapping[str, Mapping[str, Any]] = {
    "server.yaml": {
        "pictures": {"claim": "pictures"},
        "index": {"enabled": True, "encoder": "/pictures/encoder.onnx"},
        "snapshot": {"enabled": True},
    },
    "embedded.yaml": {
        "qdrant": {"enabled": False},
        "embedded": {"enabled": True},
        "pictures": {"claim": "pictures"},
        "index": {"enabled": True, "encoder": "/pictures/encoder.onnx"},
    },
    "restore.yaml": {"snapshot": {"enabled": True}, "restore": {"file": "images-20260101T000000Z.tar"}},
}
_NOTES: Mapping[str, str] = {
    "restore.yaml": "# Beside server.yaml: name your file in it, then `kubectl create -f`; delete the Job afterwards.\n",
}
_HEAD = "# Written by deploy/render_manifests.py from deploy/chart: change that.\n"


def rendered(file: str) -> str:
    """The manifests of a release `semblant`, in the order of their files, without Helm's own marks; of a restore its Job."""
    import helm_python

    with helm_python.Chart.load(DEPLOY / "chart") as chart:
        files = chart.render(dict(KINDS[file]), name="semblant", namespace="semblant")
    texts = [text.strip() for name, text in sorted(files.items()) if name.endswith(".yaml") and text.strip()]
    if file == "restore.yaml":
        texts = [text for text in "\n---\n".join(texts).split("\n---\n") if "\n  name: semblant-restore-" in text]
    lines = "\n---\n".join(text.removeprefix("---\n") for text in texts).splitlines()
    kept = [line.rstrip() for line in lines if "helm.sh/" not in line and line.strip() != "app.kubernetes.io/managed-by: Helm"]
    return _HEAD + _NOTES.get(file, "") + "\n".join(line for line in kept if line) + "\n"


if __name__ == "__main__":
    MANIFESTS.mkdir(exist_ok=True)
    for file in KINDS:
        (MANIFESTS / file).write_text(rendered(file), encoding="utf-8")
