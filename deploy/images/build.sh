#!/usr/bin/env bash
# Builds the images without a registry and without a daemon: on a Debian from debootstrap, by buildah, in a chroot. As root,
# with Debian's packages `buildah` and `debootstrap`. Arguments: which of service, indexer and trainer; none means the first two.
# TORCH: another index to take PyTorch from, such as its own one of builds without a GPU's libraries.
set -euo pipefail
cd "$(dirname "$0")/../.."
images=("$@")
[ ${#images[@]} -gt 0 ] || images=(service indexer)
torch=${TORCH:-}
work=${WORK:-dist/images}
suite=${SUITE:-bookworm}
version=0.1.0
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install buildah debootstrap" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root: sudo make images" >&2; exit 1; }
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot

sh deploy/images/wheels.sh
if [ ! -x "$work/root/usr/bin/python3" ]; then
    mkdir -p "$work"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$work/root"
    rm -rf "$work/root/var/cache/apt/archives"/*.deb "$work/root/var/lib/apt/lists"/*
fi
python_version=$(chroot "$work/root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')

base=semblant-base:$suite
if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/root" / >/dev/null
    buildah commit --quiet --rm "$container" "$base" >/dev/null
fi
for image in "${images[@]}"; do
    # Here, where indexes and certificates are set up; the build itself asks no network.
    TORCH=$torch bash deploy/images/fetch.sh "$image" "$python_version"
    buildah build --quiet --format docker --layers=false --network none --build-arg "BASE=localhost/$base" --build-arg PIP_NO_INDEX=1 \
        --file "deploy/images/$image.Dockerfile" --tag "semblant-$image:$version" .
    buildah images --format '{{.Name}}:{{.Tag}} {{.Size}}' "semblant-$image:$version"
done
