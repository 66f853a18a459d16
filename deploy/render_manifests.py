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
}
_HEAD = "# Written by deploy/render_manifests.py from deploy/chart: change that.\n"


def rendered(values: Mapping[str, Any]) -> str:
    """The manifests of a release `semblant`, in the order of their files; Helm's own marks are left out."""
    import helm_python

    with helm_python.Chart.load(DEPLOY / "chart") as chart:
        files = chart.render(dict(values), name="semblant", namespace="semblant")
    texts = [text.strip() for name, text in sorted(files.items()) if name.endswith(".yaml") and text.strip()]
    lines = "\n---\n".join(text.removeprefix("---\n") for text in texts).splitlines()
    kept = [line.rstrip() for line in lines if "helm.sh/" not in line and line.strip() != "app.kubernetes.io/managed-by: Helm"]
    return _HEAD + "\n".join(line for line in kept if line) + "\n"


if __name__ == "__main__":
    MANIFESTS.mkdir(exist_ok=True)
    for file, values in KINDS.items():
        (MANIFESTS / file).write_text(rendered(values), encoding="utf-8")
