"""Finding OPA, or fetching it, from a release server that behaves and from ones that do not."""

import hashlib
import os
import platform
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sark_opa.errors import OpaError
from sark_opa.opa import binary


def program(path: Path, *, version: str | None = binary.VERSION) -> Path:
    """Something that answers `opa version`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + (f"echo 'Version: {version}'\n" if version else "echo hello\n"))
    path.chmod(0o755)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No OPA, no Go, an empty cache."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """A folder served over HTTP with a good release in it, its URL, and what was fetched from it."""
    folder = tmp_path / "releases"
    asset = program(folder / f"v{binary.VERSION}" / binary._ASSETS[platform.system(), platform.machine()])
    checksum = hashlib.sha256(asset.read_bytes()).hexdigest()
    asset.with_name(asset.name + ".sha256").write_text(f"{checksum}  {asset.name}\n")
    fetched: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            fetched.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield asset, f"http://127.0.0.1:{server.server_address[1]}", fetched
    server.shutdown()
    server.server_close()
    thread.join()


NOWHERE = "http://127.0.0.1:9"


def test_the_chosen_binary_comes_first(tmp_path: Path, environment) -> None:
    """SARK_OPA_BIN wins over PATH."""
    program(tmp_path / "bin" / "opa")
    chosen = program(tmp_path / "mine" / "opa", version="1.12.0")
    found = binary.find_or_fetch(print, environment=environment | {"SARK_OPA_BIN": str(chosen)}, releases_url=NOWHERE)
    assert found == chosen


@pytest.mark.parametrize("version", ["1.11.0", "0.70.0", "2.0.0", None])
def test_a_chosen_binary_that_does_not_fit_is_an_error(tmp_path: Path, environment, version) -> None:
    """Whoever names a binary is told that it cannot be used; no other is taken silently."""
    chosen = program(tmp_path / "mine" / "opa", version=version)
    with pytest.raises(OpaError, match="SARK_OPA_BIN"):
        binary.find_or_fetch(print, environment=environment | {"SARK_OPA_BIN": str(chosen)}, releases_url=NOWHERE)


def test_a_chosen_binary_that_is_not_there_is_an_error(tmp_path: Path, environment) -> None:
    """A wrong path is named."""
    gone = str(tmp_path / "gone")
    with pytest.raises(OpaError, match=gone):
        binary.find_or_fetch(print, environment=environment | {"SARK_OPA_BIN": gone}, releases_url=NOWHERE)


@pytest.mark.parametrize("version", ["1.11.1", "1.22.2", "v1.30.0"])
def test_a_fitting_one_on_path_is_taken(tmp_path: Path, environment, version: str) -> None:
    """From 1.11.1 to below 2."""
    on_path = program(tmp_path / "bin" / "opa", version=version)
    assert binary.find_or_fetch(print, environment=environment, releases_url=NOWHERE) == on_path


def test_the_release_is_fetched_once(environment, releases) -> None:
    """Into the cache, checked against its SHA-256; the second time nothing is downloaded."""
    _, url, fetched = releases
    said: list[str] = []
    found = binary.find_or_fetch(said.append, environment=environment, releases_url=url)
    assert found == binary.cache_path(environment)
    assert os.access(found, os.X_OK)
    assert any("downloading" in line for line in said)
    assert len(fetched) == 2
    assert binary.find_or_fetch(said.append, environment=environment, releases_url=url) == found
    assert len(fetched) == 2
    assert [path.name for path in found.parent.iterdir() if path.name.startswith("fetch-")] == []


def test_two_at_once_download_once(environment, releases) -> None:
    """The second waits for the first and takes what it fetched."""
    _, url, fetched = releases
    fetch = partial(binary.find_or_fetch, print, environment=environment, releases_url=url)
    with ThreadPoolExecutor(4) as pool:
        found = {future.result() for future in [pool.submit(fetch) for _ in range(4)]}
    assert found == {binary.cache_path(environment)}
    assert len(fetched) == 2


def test_an_old_one_on_path_is_passed_over(tmp_path: Path, environment, releases) -> None:
    """A release is fetched instead."""
    program(tmp_path / "bin" / "opa", version="0.58.0")
    assert binary.find_or_fetch(print, environment=environment, releases_url=releases[1]) == binary.cache_path(
        environment
    )


def test_a_wrong_checksum_is_refused(environment, releases) -> None:
    """A file that is not what was published never reaches the cache; the error lists what was tried."""
    asset, url, _ = releases
    asset.write_bytes(asset.read_bytes() + b"# tampered\n")
    with pytest.raises(OpaError) as caught:
        binary.find_or_fetch(print, environment=environment, releases_url=url)
    assert "SHA-256" in caught.value.message
    assert "go install: there is no Go on PATH" in caught.value.message
    assert not binary.cache_path(environment).exists()


def test_an_unpublished_checksum_is_refused(environment, releases) -> None:
    """Without a checksum nothing is installed."""
    asset, url, _ = releases
    asset.with_name(asset.name + ".sha256").unlink()
    with pytest.raises(OpaError, match="404"):
        binary.find_or_fetch(print, environment=environment, releases_url=url)


def test_a_release_that_does_not_run_is_refused(environment, releases) -> None:
    """A checksum says what was published, not that it works here."""
    asset, url, _ = releases
    asset.write_text("no program")
    asset.with_name(asset.name + ".sha256").write_text(hashlib.sha256(b"no program").hexdigest())
    with pytest.raises(OpaError, match="does not run"):
        binary.find_or_fetch(print, environment=environment, releases_url=url)


def test_go_builds_it_where_no_release_can_be_reached(tmp_path: Path, environment) -> None:
    """`go install` of the pinned version, with its result in the cache."""
    go = tmp_path / "bin" / "go"
    go.write_text(
        "#!/bin/sh\n"
        f'test "$*" = "install github.com/open-policy-agent/opa@v{binary.VERSION}" || exit 3\n'
        f"printf '#!/bin/sh\\necho Version: {binary.VERSION}\\n' > \"$GOBIN/opa\"\n"
        '/bin/chmod 755 "$GOBIN/opa"\n'
    )
    go.chmod(0o755)
    said: list[str] = []
    found = binary.find_or_fetch(said.append, environment=environment, releases_url=NOWHERE)
    assert found == binary.cache_path(environment)
    assert "OPA: release download: 127.0.0.1 cannot be reached" in said


def test_a_broken_cache_is_replaced(environment, releases) -> None:
    """What does not run is fetched again."""
    cached = binary.cache_path(environment)
    program(cached, version=None)
    assert binary.find_or_fetch(print, environment=environment, releases_url=releases[1]) == cached
    assert binary.misfit(cached) is None


def test_the_cache_follows_the_home_directory(tmp_path: Path) -> None:
    """Without XDG_CACHE_HOME it is under ~/.cache."""
    assert binary.cache_path({"HOME": str(tmp_path)}) == tmp_path / ".cache" / "sark-opa" / f"opa-{binary.VERSION}"
