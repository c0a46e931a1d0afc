"""A folder of archives: what plugins there are to install."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from sark_opa.errors import PluginError
from sark_opa.kit import pack
from sark_opa.kit.resolve import Candidate
from sark_opa.sandbox.packages import archive
from sark_opa.sandbox.packages.package import Manifest
from sark_opa.sandbox.packages.signature import Trust


@dataclass(frozen=True, slots=True)
class Entry:
    """An archive that may be installed.

    Attributes:
        path: of its file.
        data: its bytes, as they were verified.
        digest: `sha256:` and the hex digest of these.
        manifest: of its plugin.
        signer: name of the key it is signed with, None where it is not.
    """

    path: Path
    data: bytes
    digest: str
    manifest: Manifest
    signer: str | None

    @property
    def key(self) -> tuple[str, Version]:
        """Name and version."""
        return self.manifest.name, Version(self.manifest.version)

    @property
    def candidate(self) -> Candidate:
        """What is to be known to choose."""
        return Candidate(*self.key, self.manifest.requirements)


@dataclass(frozen=True, slots=True)
class Index:
    """What a folder holds.

    Attributes:
        entries: by name, the newest version first.
        left_out: archives that are damaged or not trusted: why.
    """

    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]


def entry(path: Path, trust: Trust) -> Entry:
    """The archive of a file.

    Raises:
        PluginUnsignedError: it is not signed with a trusted key, and has to be.
        PluginSignatureError: it was changed after it was signed.
        PluginError: it is no archive.
    """
    data = pack.content(path)
    package = archive.read_bytes(data, origin=str(path), trust=trust)
    assert package.manifest is not None  # noqa: S101  # an archive has one
    return Entry(path, data, archive.digest_of(data), package.manifest, package.signer)


def read(folder: Path, trust: Trust) -> Index:
    """The archives of a folder. One that cannot be taken is left out, so that it does not stand in others' way.

    Raises:
        PluginError: there is no such folder, or two archives of one name and version differ.
    """
    if not folder.is_dir():
        raise PluginError(f"{folder} is no folder", path=str(folder))
    found: list[Entry] = []
    left_out = []
    for path in sorted(folder.glob(f"*{archive.SUFFIX}")):
        try:
            found.append(entry(path, trust))
        except PluginError as error:
            left_out.append(error.message)
    entries = sorted(unique(found).values(), key=lambda each: each.key[1], reverse=True)
    return Index(tuple(sorted(entries, key=lambda each: each.key[0])), tuple(left_out))


def unique(entries: Iterable[Entry]) -> dict[tuple[str, Version], Entry]:
    """Entries by name and version.

    Raises:
        PluginError: two of one name and version differ; nobody knows which is meant.
    """
    known: dict[tuple[str, Version], Entry] = {}
    for each in entries:
        other = known.setdefault(each.key, each)
        if other.digest != each.digest:
            raise PluginError(
                f"{other.path} and {each.path} both are {each.candidate}, and differ; keep one", path=str(each.path)
            )
    return known
