"""Finding an OPA that fits, or fetching the pinned one into a cache.

The order is `$SARK_OPA_BIN`, `PATH`, the cache, the release download, `go install`. A download is checked against
the SHA-256 that the release publishes beside it, over HTTPS from the same place: that catches a broken or
truncated file, not a release that was replaced. Where that matters, set `SARK_OPA_BIN` to a binary of your own.
What Go builds is verified by Go's checksum database.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests

from sark_opa.errors import OpaError

VERSION: Final = "1.22.2"
"""The release that is fetched; the tests run on it."""

VERSION_MIN: Final = (1, 11, 1)
"""Before 1.11.1 `http.send` opens a connection per call, and decision logs may be lost under load."""

RELEASES_URL: Final = "https://github.com/open-policy-agent/opa/releases/download"

_ASSETS: Final = {
    ("Linux", "x86_64"): "opa_linux_amd64_static",
    ("Linux", "aarch64"): "opa_linux_arm64_static",
    ("Darwin", "x86_64"): "opa_darwin_amd64",
    ("Darwin", "arm64"): "opa_darwin_arm64_static",
}
_BINARY_BYTES_MAX: Final = 256 * 2**20
_CHUNK_BYTES: Final = 2**18
_HTTP_TIMEOUT_S: Final = (5.0, 30.0)
_GO_TIMEOUT_S: Final = 900.0
_VERSION_TIMEOUT_S: Final = 30.0

Say = Callable[[str], None]


def find_or_fetch(say: Say, *, environment: Mapping[str, str] | None = None, releases_url: str = RELEASES_URL) -> Path:
    """Path of an OPA that fits; fetched first where there is none.

    Args:
        say: told of each step that takes time.
        environment: `SARK_OPA_BIN`, `PATH`, `XDG_CACHE_HOME` and `HOME` are read; this process's own by default.
        releases_url: where `v<version>/<asset>` and its `.sha256` lie.

    Raises:
        OpaError: none fits and none could be fetched; the message lists what was tried.
    """
    env = os.environ if environment is None else environment
    chosen = env.get("SARK_OPA_BIN")
    if chosen:
        return _chosen(Path(chosen))
    tried = []
    on_path = shutil.which("opa", path=env.get("PATH", os.defpath))
    if on_path is not None:
        fault = misfit(Path(on_path))
        if fault is None:
            return Path(on_path)
        tried.append(fault)
    cached = cache_path(env)
    if cached.exists() and misfit(cached) is None:
        return cached
    with _lock(cached.parent, say):
        if cached.exists() and misfit(cached) is None:  # another process fetched it meanwhile
            return cached
        for name, fetch in (
            ("release download", partial(_download, releases_url=releases_url)),
            ("go install", partial(_go_install, environment=env)),
        ):
            with tempfile.TemporaryDirectory(dir=cached.parent, prefix="fetch-") as folder:
                try:
                    fetched = fetch(Path(folder), say)
                    fault = misfit(fetched)
                except (OSError, requests.RequestException, subprocess.SubprocessError, OpaError) as error:
                    fault = f"{name}: {_told(error)}"
                if fault is None:
                    fetched.replace(cached)
                    say(f"OPA {VERSION}: {cached}")
                    return cached
                tried.append(fault)
                say(f"OPA: {fault}")
    raise OpaError(
        f"no OPA from {_dotted(VERSION_MIN)} to below 2 was found or fetched; set SARK_OPA_BIN. Tried:\n"
        + "\n".join(f"  - {fault}" for fault in tried)
    )


def cache_path(environment: Mapping[str, str]) -> Path:
    """Where a fetched OPA is kept: `$XDG_CACHE_HOME/sark-opa/opa-<version>`, by default under `~/.cache`."""
    base = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".cache")
    return Path(base) / "sark-opa" / f"opa-{VERSION}"


def version_of(binary: Path) -> tuple[int, ...]:
    """The version a binary says it is, such as `(1, 22, 2)`.

    Raises:
        OpaError: it does not run, or says no version.
    """
    try:
        shown = subprocess.run(  # noqa: S603  # the operator names the binary
            [binary, "version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=True, env={}
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise OpaError(f"{binary}: does not run ({error})") from error
    found = re.search(r"^Version:\s*v?(\d+)\.(\d+)\.(\d+)", shown, re.MULTILINE)
    if found is None:
        raise OpaError(f"{binary}: says no version")
    return tuple(map(int, found.groups()))


def misfit(binary: Path) -> str | None:
    """Why a binary does not fit; None when it does."""
    try:
        version = version_of(binary)
    except OpaError as error:
        return error.message
    if not VERSION_MIN <= version < (2,):
        return f"{binary}: version {_dotted(version)} is not from {_dotted(VERSION_MIN)} to below 2"
    return None


def _told(error: Exception) -> str:
    # What requests says of a host that cannot be reached is a page, and its point stands in the middle of it.
    if isinstance(error, requests.ConnectionError) and error.request is not None:
        return f"{urlsplit(error.request.url or '').hostname} cannot be reached"
    return str(error)


def _chosen(binary: Path) -> Path:
    fault = misfit(binary)
    if fault is not None:
        raise OpaError(f"SARK_OPA_BIN: {fault}")
    return binary


def _download(folder: Path, say: Say, *, releases_url: str) -> Path:
    asset = _ASSETS.get((platform.system(), platform.machine()))
    if asset is None:
        raise OpaError(f"there is no release for {platform.system()} on {platform.machine()}")
    url = f"{releases_url}/v{VERSION}/{asset}"
    say(f"OPA {VERSION}: downloading {url}")
    target = folder / "opa"
    with requests.Session() as session:
        published = session.get(f"{url}.sha256", timeout=_HTTP_TIMEOUT_S)
        published.raise_for_status()
        expected = published.text.split()[:1]
        digest = _save(session, url, target, say)
    if expected != [digest]:
        raise OpaError(f"{url} has SHA-256 {digest}, but {expected or 'nothing'} is published")
    target.chmod(0o755)
    return target


def _save(session: requests.Session, url: str, target: Path, say: Say) -> str:
    sha256 = hashlib.sha256()
    size_bytes = 0
    with session.get(url, stream=True, timeout=_HTTP_TIMEOUT_S) as answer, target.open("wb") as file:
        answer.raise_for_status()
        total_bytes = int(answer.headers.get("Content-Length", 0))
        quarter = 1
        for chunk in answer.iter_content(_CHUNK_BYTES):
            size_bytes += len(chunk)
            if size_bytes > _BINARY_BYTES_MAX:
                raise OpaError(f"{url} is larger than {_BINARY_BYTES_MAX} bytes")
            sha256.update(chunk)
            file.write(chunk)
            if total_bytes and size_bytes * 4 >= quarter * total_bytes:
                say(f"OPA {VERSION}: {size_bytes / 2**20:.0f} of {total_bytes / 2**20:.0f} MB")
                quarter = size_bytes * 4 // total_bytes + 1
    return sha256.hexdigest()


def _go_install(folder: Path, say: Say, *, environment: Mapping[str, str]) -> Path:
    go = shutil.which("go", path=environment.get("PATH", os.defpath))
    if go is None:
        raise OpaError("there is no Go on PATH")
    say(f"OPA {VERSION}: building it with {go} (about two minutes, once)")
    built = subprocess.run(  # noqa: S603  # a fixed command, verified by Go's checksum database
        [go, "install", f"github.com/open-policy-agent/opa@v{VERSION}"],
        env=dict(environment) | {"GOBIN": str(folder)},
        capture_output=True,
        text=True,
        timeout=_GO_TIMEOUT_S,
        check=False,
    )
    if built.returncode != 0:
        raise OpaError(f"it ended with {built.returncode}: {' '.join(built.stderr.split()[-40:])}")
    return folder / "opa"


@contextmanager
def _lock(folder: Path, say: Say) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("OPA: waiting for another process that is fetching it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
