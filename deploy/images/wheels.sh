#!/bin/sh
# Semblant's own wheels and the pinned versions of all others, and nothing else, in dist/images/wheels: what the Dockerfiles copy.
set -eu
cd "$(dirname "$0")/../.."
out=dist/images/wheels
python=${PYTHON:-.venv/bin/python}
uv=${UV:-.venv/bin/uv}
[ -f search/semblant_search/web/static/index.html ] || { echo "the page is not built, and a service of these wheels would have none: make page" >&2; exit 1; }
mkdir -p "$out"
rm -f "$out"/*.whl
for part in search indexer exporter; do
    "$uv" build --quiet --wheel --out-dir "$out" "$part"
done
rm -f "$out/.gitignore"
"$python" - >"$out/constraints.txt" <<'END'
import sys
from pathlib import Path
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
pins = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
print("\n".join(pins))
END
