"""Packed plugins: one form to the byte, and whatever else arrives is refused, whoever made it."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
from pathlib import Path

import pytest
from fixtures.archives import archive_of, files_of
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.errors import PluginError
from sark_opa.kit import pack, scaffold
from sark_opa.sandbox.packages import archive, package
from sark_opa.sandbox.packages.signature import TRUST_ALL

SOUND = archive_of()


def read(data: bytes) -> package.Package:
    """As an upload is read."""
    return archive.read_bytes(data, origin="upload", trust=TRUST_ALL)


def zipped(entries: list[tuple[str | zipfile.ZipInfo, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP as anybody makes one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for entry, content in entries:
            file.writestr(entry, content)
    return out.getvalue()


def test_a_plugin_comes_out_as_it_went_in() -> None:
    """Source, manifest and configuration; the origin is where it came from."""
    found = archive.read_bytes(SOUND, origin="upload", config={"n": 1}, trust=TRUST_ALL)
    assert found.source.encode() == files_of()["plugin.py"]
    assert found.manifest is not None
    assert (found.manifest.name, found.manifest.version) == ("packed", "1.0.0")
    assert (found.origin, found.signer, found.config) == ("upload", None, {"n": 1})
    assert str(found.source_path) == "upload/plugin.py"


def test_the_same_files_give_the_same_bytes_anywhere(tmp_path: Path) -> None:
    """Whatever the times, modes and order of the files; the digest was written down on another day."""
    first, second = scaffold.new("same", tmp_path / "a"), scaffold.new("same", tmp_path / "b")
    for file in sorted(second.iterdir(), reverse=True):
        file.chmod(0o600)
        os.utime(file, (1e9, 1e9))
    assert pack.pack(first) == pack.pack(second)
    assert pack.pack(first)[0] == "same-0.1.0.sarkplugin"
    assert hashlib.sha256(SOUND).hexdigest() == "41aa98bcb0d4343e6106c87f73cfb71ed51c6fdff0b19591863c8bef0730b0fd"


def test_other_programs_can_look_into_it() -> None:
    """It is a ZIP like any other."""
    with zipfile.ZipFile(io.BytesIO(SOUND)) as file:
        assert file.testzip() is None
        assert file.namelist() == ["MANIFEST.json", "plugin.py", "plugin.yaml"]
        assert file.read("plugin.py") == files_of()["plugin.py"]


@pytest.mark.parametrize("step", range(7))
def test_no_byte_can_be_changed(step: int) -> None:
    """Of any region: headers, names, contents, the directory, its end. Never anything but a refusal."""
    for place in range(step, len(SOUND), 7):
        changed = bytearray(SOUND)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises(PluginError):
            read(bytes(changed))


@given(
    st.lists(
        st.tuples(st.integers(0, len(SOUND) - 1), st.binary(max_size=8), st.integers(0, 8)), min_size=1, max_size=6
    )
)
def test_mangled_bytes_are_refused_and_nothing_else(edits: list[tuple[int, bytes, int]]) -> None:
    """Bytes put in, taken out and overwritten: `PluginError`, or the very same archive."""
    mangled = SOUND
    for place, put_in, left_out in edits:
        mangled = mangled[:place] + put_in + mangled[place + left_out :]
    if mangled == SOUND:
        return
    with pytest.raises(PluginError):
        read(mangled)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_archive_are_refused(data: bytes) -> None:
    """Also with the beginning and the end of a ZIP around them."""
    for attempt in (data, b"PK\3\4" + data, data + b"PK\5\6" + bytes(18)):
        with pytest.raises(PluginError, match="upload: it is no plugin archive"):
            read(attempt)


def _entries(**more: bytes) -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    with zipfile.ZipFile(io.BytesIO(SOUND)) as file:
        return sorted([(name, file.read(name)) for name in file.namelist()] + list(more.items()), key=str)


def _link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("README.md")
    entry.create_system = 3
    entry.external_attr = 0o120777 << 16
    return entry


HOSTILE = {
    "up and out": (_entries(**{"../../etc/cron.d/x": b"x"}), "which no archive has"),
    "absolute": (_entries(**{"/etc/passwd": b"x"}), "which no archive has"),
    "folder": (_entries(**{"sub/plugin.py": b"x"}), "no plugin archive"),
    "second source": (_entries(**{"other.py": b"x"}), "a file in it is not the one"),
    "a link": ([*_entries(), (_link(), b"/etc/passwd")], "a file in it is not the one"),
    "named twice": ([*_entries(), ("plugin.py", b"import os")], "a file in it is not the one"),
    "another source": ([(name, b"import os" if name == "plugin.py" else text) for name, text in _entries()], "not the"),
    "no manifest": ([each for each in _entries() if each[0] != "MANIFEST.json"], r"it has no MANIFEST\.json"),
    "no json": ([("MANIFEST.json", b"{")], "Input data was truncated"),
    "endless json": ([("MANIFEST.json", b"[" * 100_000)], "no plugin archive"),
    "other json": ([("MANIFEST.json", b"{}")], "missing required field"),
    "own times": (_entries(), "it is not in the one form an archive has"),
    "nothing": ([], r"it has no MANIFEST\.json"),
    "many": ([(f"{n}.py", b"") for n in range(1_000)], "it has 1000 entries, 6 are allowed"),
    "huge name": ([("x" * 60_000, b"")], "which no archive has"),
    "large": ([("plugin.py", bytes(300_000))], "'plugin.py' is larger than 256 KiB"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_zip_that_a_stranger_made_is_refused(case: str) -> None:
    """Paths that lead out, links, doubled names, more than an archive has: by name."""
    entries, message = HOSTILE[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the writer, about the doubled name
        data = zipped(entries)
    with pytest.raises(PluginError, match=message):
        read(data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_not_inflated(compression: int) -> None:
    """Nothing compressed is read at all, however small it is."""
    with pytest.raises(PluginError, match=r"'plugin\.py' is compressed"):
        read(zipped([("plugin.py", bytes(100 << 20))], compression))


@pytest.mark.parametrize("data", [b"#!/bin/sh\n" + SOUND, SOUND + b"\0", SOUND + SOUND, SOUND[:-1], SOUND[1:]])
def test_nothing_stands_before_or_after(data: bytes) -> None:
    """Other readers of ZIP forgive that."""
    with pytest.raises(PluginError, match="no plugin archive"):
        read(data)


def test_a_large_one_is_not_looked_at() -> None:
    """1 MiB is the most."""
    with pytest.raises(PluginError, match="upload: it is larger than 1024 KiB"):
        read(bytes((1 << 20) + 1))


def test_its_two_manifests_cannot_differ() -> None:
    """What tools read without YAML is what the plugin is loaded with."""
    files = files_of()
    manifest, _ = package.parsed(files_of(version="9.9")["plugin.yaml"].decode(), "plugin.yaml")
    with pytest.raises(PluginError, match=r"MANIFEST\.json and plugin\.yaml differ"):
        read(archive.packed(files, manifest))


def test_faults_inside_are_named_by_file_and_line() -> None:
    """As those of a folder are."""
    files = files_of()
    manifest, _ = package.parsed(files["plugin.yaml"].decode(), "plugin.yaml")
    with pytest.raises(PluginError, match=r"upload/plugin\.yaml:5: prioritty: Extra inputs .* did you mean priority\?"):
        read(archive.packed({**files, "plugin.yaml": files["plugin.yaml"] + b"prioritty: 3\n"}, manifest))
    with pytest.raises(PluginError, match=r"upload/plugin\.py:2: it is not UTF-8"):
        read(archive.packed({**files, "plugin.py": b"\n\xff"}, manifest))
    with pytest.raises(PluginError, match=r"it has no plugin\.py"):
        read(archive.packed({"plugin.yaml": files["plugin.yaml"]}, manifest))


def test_a_message_gives_a_terminal_no_orders() -> None:
    """A manifest can spell out what a terminal would obey."""
    files = files_of()
    manifest, _ = package.parsed(files["plugin.yaml"].decode(), "plugin.yaml")
    with pytest.raises(PluginError, match=r"\\x1b\[31m: Extra inputs") as refused:
        read(archive.packed({**files, "plugin.yaml": files["plugin.yaml"] + b'"\\e[31m": 3\n'}, manifest))
    assert refused.value.message.isprintable()


def test_a_newer_format_is_named() -> None:
    """Rather than called damaged."""
    entries = [(name, text.replace(b'"format": 1', b'"format": 2')) for name, text in _entries()]
    with pytest.raises(PluginError, match="its format is 2, this version reads 1"):
        read(zipped(entries))
