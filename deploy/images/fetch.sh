#!/usr/bin/env bash
# Fetches what an image stands on, for that image alone: into dist/images/wheels, beside Semblant's own wheels of wheels.sh. What was
# fetched for another image leaves it, and is kept in dist/images/fetched for the next time. Arguments: service, indexer or trainer;
# the version of Python in it. TORCH: another index to take PyTorch from.
set -euo pipefail
cd "$(dirname "$0")/../.."
image=$1 python_version=$2
torch=${TORCH:-}
python=${PYTHON:-.venv/bin/python}
wheels=dist/images/wheels
fetched=dist/images/fetched
mkdir -p "$fetched"
find "$wheels" -name '*.whl' ! -name 'semblant_*' -delete
# Builds of such an index have a + in their version, and would be preferred from then on.
[ -n "$torch" ] || rm -f "$fetched"/torch*+*.whl
mapfile -t wanted < <(grep -o '"semblant-[^"]*==[^"]*"' "deploy/images/$image.Dockerfile" | tr -d '"')
"$python" -m pip download --quiet --disable-pip-version-check --only-binary :all: --python-version "$python_version" \
    --constraint "$wheels/constraints.txt" --find-links "$wheels" --find-links "$fetched" --dest "$wheels" \
    ${torch:+--extra-index-url "$torch"} "${wanted[@]}"
find "$wheels" -name '*.whl' ! -name 'semblant_*' -exec cp --link --force -t "$fetched" {} +
