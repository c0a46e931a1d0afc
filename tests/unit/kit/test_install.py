"""Installing: what is chosen, what is written, and that nothing is half done."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fixtures.archives import archive_of, put, trust_in

from sark_opa.errors import PluginError, PluginUnsignedError
from sark_opa.kit import index, install
from sark_opa.sandbox.packages.signature import TRUST_ALL

ALICE, MALLORY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index."""
    place = tmp_path / "index"
    for name, version, requires in (
        ("gate", "1.0", ["limit<2"]),
        ("gate", "2.0", ["limit>=2"]),
        ("limit", "1.0", []),
        ("limit", "2.0", []),
        ("limit", "2.1", []),
    ):
        put(place, archive_of(name, version, requires))
    return place


def done(into: Path, *sources: str, folder: Path | None = None) -> dict[str, str]:
    """Install, and tell what is installed then."""
    install.carry_out(install.plan(sources, folder=folder, into=into, trust=TRUST_ALL))
    return {entry.manifest.name: entry.manifest.version for entry in install.installed(into, TRUST_ALL)}


def test_a_plugin_comes_with_what_it_requires(folder: Path, tmp_path: Path) -> None:
    """The archives lie under their usual names, beside the lock, and nothing else does."""
    assert done(tmp_path / "in", "gate<2", folder=folder) == {"gate": "1.0", "limit": "1.0"}
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == [
        "gate-1.0.sarkplugin",
        "limit-1.0.sarkplugin",
        "plugins.lock",
    ]
    assert (tmp_path / "in" / "gate-1.0.sarkplugin").read_bytes() == (folder / "gate-1.0.sarkplugin").read_bytes()


def test_what_is_installed_keeps_its_version_until_it_cannot(folder: Path, tmp_path: Path) -> None:
    """The same request twice changes nothing; another one moves only what it has to, and removes what it replaced."""
    into = tmp_path / "in"
    assert done(into, "limit==2.0", folder=folder) == {"limit": "2.0"}
    lock = (into / "plugins.lock").read_bytes()
    assert done(into, "limit==2.0", folder=folder) == {"limit": "2.0"}
    assert (into / "plugins.lock").read_bytes() == lock
    assert done(into, "gate", folder=folder) == {"gate": "2.0", "limit": "2.0"}
    with pytest.raises(PluginError, match=r"limit<2 \(asked for by gate 1\.0\)"):
        done(into, "gate<2", folder=folder)
    assert done(into, "limit<2", "gate<2", folder=folder) == {"gate": "1.0", "limit": "1.0"}
    assert sorted(path.stem for path in into.glob("*.sarkplugin")) == ["gate-1.0", "limit-1.0"]


def test_a_file_needs_no_index(folder: Path, tmp_path: Path) -> None:
    """Unless it requires others."""
    into = tmp_path / "in"
    assert done(into, str(folder / "limit-2.0.sarkplugin")) == {"limit": "2.0"}
    assert done(into, str(folder / "gate-2.0.sarkplugin")) == {"gate": "2.0", "limit": "2.0"}
    with pytest.raises(PluginError, match="no version of limit will do for limit<2"):
        done(tmp_path / "other", str(folder / "gate-1.0.sarkplugin"))


def test_planning_changes_nothing(folder: Path, tmp_path: Path) -> None:
    """That is what --dry-run does."""
    made = install.plan(["gate"], folder=folder, into=tmp_path / "in", trust=TRUST_ALL)
    assert [str(entry.candidate) for entry in made.new] == ["gate 2.0", "limit 2.1"]
    assert not (tmp_path / "in").exists()


def test_another_content_under_the_same_version_is_refused(folder: Path, tmp_path: Path) -> None:
    """In the index, and against what is installed; a file that is given itself is meant."""
    into = tmp_path / "in"
    done(into, "limit==2.0", folder=folder)
    other = archive_of("limit", "2.0", key=MALLORY)
    put(folder, other)
    with pytest.raises(PluginError, match=r"both are limit 2\.0, and differ; give the file itself"):
        done(into, "gate", folder=folder)
    assert done(into, str(folder / "limit-2.0.sarkplugin")) == {"limit": "2.0"}
    assert (into / "limit-2.0.sarkplugin").read_bytes() == other
    (folder / "copy.sarkplugin").write_bytes(archive_of("limit", "2.0"))
    with pytest.raises(PluginError, match=r"both are limit 2\.0, and differ; keep one"):
        index.read(folder, TRUST_ALL)


def test_what_was_changed_since_is_noticed(folder: Path, tmp_path: Path) -> None:
    """By its digest, before anything is built on it."""
    into = tmp_path / "in"
    done(into, "limit==2.0", folder=folder)
    (into / "limit-2.0.sarkplugin").write_bytes(archive_of("limit", "2.0", key=MALLORY))
    with pytest.raises(PluginError, match="was changed since it was installed; install it again"):
        install.installed(into, TRUST_ALL)
    (into / "limit-2.0.sarkplugin").unlink()
    with pytest.raises(PluginError, match="it cannot be read: No such file"):
        done(into, "gate", folder=folder)
    assert done(into, str(folder / "limit-2.0.sarkplugin")) == {"limit": "2.0"}


def test_where_signatures_are_wanted_others_are_left_out(tmp_path: Path) -> None:
    """A newer plugin somebody else put into the index does not displace the genuine one; a file is refused."""
    folder, into = tmp_path / "index", tmp_path / "in"
    put(folder, archive_of("limit", "1.0", key=ALICE))
    put(folder, archive_of("limit", "9.0", key=MALLORY))
    put(folder, archive_of("limit", "9.1"))
    (folder / "broken.sarkplugin").write_bytes(b"broken")
    made = install.plan(["limit"], folder=folder, into=into, trust=trust_in(ALICE))
    assert [(str(entry.candidate), entry.signer) for entry in made.new] == [("limit 1.0", "key0")]
    assert len(made.left_out) == 3
    with pytest.raises(PluginUnsignedError):
        install.plan([str(folder / "limit-9.1.sarkplugin")], folder=None, into=into, trust=trust_in(ALICE))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"plugins\.lock cannot be read"),
        ('{"format": 2}', "is no lock this version can read"),
        ('{"asked": ["x @ https://x"]}', "says more than a name and versions"),
        ('{"plugins": [{"name":"x","version":"1","digest":"","file":"../x.sarkplugin"}]}', "is no lock"),
        ('{"plugins": [{"name":"x","version":"first","digest":"","file":"x.sarkplugin"}]}', "Invalid version"),
    ],
)
def test_a_lock_that_was_tampered_with_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """It names files to read and to remove, so it is read with care."""
    (tmp_path / "plugins.lock").write_text(text)
    with pytest.raises(PluginError, match=message):
        install.read_lock(tmp_path)


@pytest.mark.parametrize(
    "source", ["", "not a thing", "x @ https://x", "../x", "X>=1", "x[y]", "x; python_version>'3'"]
)
def test_a_source_that_is_neither_is_named(tmp_path: Path, source: str) -> None:
    """Neither a file nor a requirement."""
    with pytest.raises(PluginError, match=r"is neither a \.sarkplugin file nor a requirement"):
        install.plan([source], folder=None, into=tmp_path, trust=TRUST_ALL)


def test_an_index_is_a_folder(tmp_path: Path) -> None:
    """And is named when it is not there."""
    with pytest.raises(PluginError, match="nowhere is no folder"):
        index.read(tmp_path / "nowhere", TRUST_ALL)
