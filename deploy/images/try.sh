#!/usr/bin/env bash
# Runs the images of build.sh without a container engine: in a chroot, as their user, with a root that cannot be written.
# The trainer learns of a few pictures and exports, the indexer indexes them, the service searches them, serves them with a key,
# says that it is healthy, has its page, and ends when it is told to. As root. Arguments: which of service, indexer and trainer;
# none means the first two. Where the indexer is not among them, this environment indexes. VERSION and PORT may be set.
set -euo pipefail
cd "$(dirname "$0")/../.."
images=("$@")
[ ${#images[@]} -gt 0 ] || images=(service indexer)
for image in "${images[@]}"; do
    [ -f "deploy/images/$image.Dockerfile" ] || { echo "$image: expected service, indexer or trainer" >&2; exit 1; }
done
version=${VERSION:-0.1.0}
port=${PORT:-18765}
export STORAGE_DRIVER=vfs
work=$(mktemp -d)
containers=()
cleanup() {
    for container in "${containers[@]}"; do buildah rm "$container" >/dev/null; done
    rm -rf "$work"
}
trap cleanup EXIT
mkdir -p "$work/data/pictures" "$work/cache"
cp tests/golden/pictures/*.png tests/golden/pictures/*.jpg "$work/data/pictures/"
cp tests/support/encoders/grey-28.onnx "$work/data/encoder.onnx"
chown -R 10001:10001 "$work/data" "$work/cache"

# A command in an image, as it would be run there. Nothing outlives it but what it left in /data and /cache.
run_in() {
    local root=$1
    shift
    unshare --mount --pid --fork --kill-child bash -c '
        set -euo pipefail
        root=$1 work=$2; shift 2
        mount --make-rprivate /
        mount --bind "$root" "$root"
        for name in data cache; do mount --bind "$work/$name" "$root/$name"; done
        mount -t tmpfs tmpfs "$root/tmp"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -o remount,bind,ro "$root"
        cd /
        exec chroot --userspec=10001:10001 "$root" /usr/bin/env -i PATH=/opt/semblant/bin:/usr/bin:/bin HOME=/tmp \
            SEMBLANT_CACHE=/cache SEMBLANT_DB=/data/pictures.db "$@"
    ' _ "$root" "$work" "$@"
}

declare -A roots
for image in "${images[@]}"; do
    container=$(buildah from "localhost/semblant-$image:$version")
    containers+=("$container")
    roots[$image]=$(buildah mount "$container")
    ! run_in "${roots[$image]}" sh -c 'touch /written' 2>/dev/null || { echo "$image: its root can be written" >&2; exit 1; }
    if [ "$image" = trainer ]; then
        run_in "${roots[$image]}" python3 -c 'import torch; print("PyTorch", torch.__version__)'
    else
        ! run_in "${roots[$image]}" python3 -c 'import torch' 2>/dev/null || { echo "$image: has PyTorch" >&2; exit 1; }
    fi
    run_in "${roots[$image]}" semblant --version
done

if [ -n "${roots[trainer]:-}" ]; then
    run_in "${roots[trainer]}" semblant train /data/pictures --out /data/model --epochs 1 --batch 4 --size 32
    run_in "${roots[trainer]}" semblant export /data/model -o /data/encoder.onnx
    # The weights that the image carries.
    run_in "${roots[trainer]}" semblant extract efficientnet-lite0 /data/pictures -o /data/extracted.onnx --size 64 --dim 8
fi
if [ -n "${roots[indexer]:-}" ]; then
    run_in "${roots[indexer]}" semblant index /data/pictures --encoder /data/encoder.onnx
    run_in "${roots[indexer]}" semblant search /data/pictures/letters.png --include-self -k 1 | grep letters.png
fi
if [ -z "${roots[service]:-}" ]; then exit; fi
if [ ! -d "$work/data/pictures.db" ]; then
    .venv/bin/semblant index "$work/data/pictures" --encoder "$work/data/encoder.onnx" --db "$work/data/pictures.db"
    chown -R 10001:10001 "$work/data"
fi
run_in "${roots[service]}" semblant search /data/pictures/letters.png --include-self -k 1 | grep letters.png
run_in "${roots[service]}" semblant doctor | grep pictures
run_in "${roots[service]}" semblant snapshot /data/images.tar
run_in "${roots[service]}" semblant restore-snapshot /data/images.tar --db /data/restored.db
key=$(run_in "${roots[service]}" semblant keys create tried --keys /data/keys.json)
key=$(grep -o 'sk_[A-Za-z0-9_-]*' <<<"$key")

run_in "${roots[service]}" semblant serve --host 0.0.0.0 --port "$port" --keys /data/keys.json --log json 2>"$work/log" &
serving=$!
for _ in $(seq 120); do
    curl --silent --fail "http://127.0.0.1:$port/readyz" >/dev/null && break
    kill -0 $serving || { cat "$work/log" >&2; exit 1; }
    sleep 1
done
curl --silent --fail "http://127.0.0.1:$port/v1/search" --header "Authorization: Bearer $key" \
    --form "picture=@tests/golden/pictures/letters.png" --form limit=1 | grep -o '"uri":"[^"]*"'
status=$(curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$port/v1/count")
[ "$status" = 401 ] || { echo "without a key: $status, expected 401" >&2; exit 1; }
curl --silent "http://127.0.0.1:$port/livez"
echo
page=$(curl --silent --fail "http://127.0.0.1:$port/") || { echo "the service has no page" >&2; exit 1; }
grep -o '<title>[^<]*</title>' <<<"$page"
last=$serving  # the shell, unshare, the service
while below=$(pgrep --parent "$last"); do last=$below; done
kill -TERM "$last"
wait $serving && echo "ended with 0"
