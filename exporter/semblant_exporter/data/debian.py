"""Files of a Debian package without installing it: `apt-get download` needs no root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from semblant_search.errors import DataError

from semblant_exporter.cache import cache_dir, failures_named

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["checksums", "fetch", "files"]

_TIMEOUT_S = 600


def fetch(package: str) -> Path:
    """The package's `.deb` file, downloaded into the cache folder unless it is there. apt checks its hash and signature.

    Raises:
        DataError: no apt here, no network, or no such package.
    """
    folder = cache_dir() / "debian"
    kept = sorted(folder.glob(f"{package}_*.deb"))
    if kept:
        return kept[-1]
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise DataError(f"Debian package {package}: there is no apt-get on this machine")
    with failures_named(f"{str(folder)!r}: the cache folder cannot be written (set SEMBLANT_CACHE to another)"):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
            found = _download(package, Path(temporary))
            return found.rename(folder / found.name)


def files(deb: Path) -> Iterator[tuple[str, bytes]]:
    """Path (such as `usr/share/…`) and content of each regular file in a `.deb`, in its order. Links are left out."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is not None:
                        yield member.name.removeprefix("./"), content.read()
        except tarfile.TarError as error:
            deb.unlink(missing_ok=True)
            raise DataError(f"{deb.name}: is cut short or damaged, and was deleted; run this again to fetch it anew") from error
        finally:
            process.kill()


def checksums(deb: Path) -> dict[str, str]:
    """The package's own MD5 of each of its files, by path."""
    done = subprocess.run(["dpkg-deb", "--info", str(deb), "md5sums"], capture_output=True, check=False)
    if done.returncode != 0:
        deb.unlink(missing_ok=True)
        raise DataError(f"{deb.name}: is cut short or damaged, and was deleted; run this again to fetch it anew")
    lines = done.stdout.decode("utf-8", errors="surrogateescape").splitlines()
    return {path: md5 for md5, _, path in (line.partition("  ") for line in lines) if path}


def _download(package: str, folder: Path) -> Path:
    """Try with the machine's package lists, then with fresh lists of our own, which needs no root and changes nothing."""
    said = _apt(["download", package], folder)
    if said is not None:
        state = folder / "apt"
        (state / "lists" / "partial").mkdir(parents=True)
        options = ["-o", f"Dir::State::lists={state / 'lists'}", "-o", f"Dir::Cache={state}"]
        said = _apt([*options, "update"], folder) or _apt([*options, "download", package], folder)
    found = list(folder.glob(f"{package}_*.deb"))
    if said is not None or not found:
        raise DataError(f"Debian package {package}: apt-get cannot download it: {said or 'it wrote no file'}")
    return found[0]


def _apt(arguments: list[str], folder: Path) -> str | None:
    """None when it went well, else the last thing that apt-get said."""
    # As root, apt would download as user _apt, who may not write here: it then only warns, on stderr.
    options = ["-q", "-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else ["-q"]
    try:
        done = subprocess.run(
            ["apt-get", *options, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"
