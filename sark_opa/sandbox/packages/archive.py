"""A plugin in one file, `NAME-VERSION.sarkplugin`: how it is written, and how one that a stranger wrote is read.

It is a ZIP file without compression whose every byte follows from the files in it. So the reader takes an
archive for good only if writing its files again gives the very same bytes; that leaves no room for hidden
entries, doubled names, odd paths, links, or an archive that two programs read in two ways. Nothing is ever
unpacked to disk.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from sark_opa.errors import PluginError
from sark_opa.sandbox.packages import package
from sark_opa.sandbox.packages.package import MANIFEST_BYTES_MAX, Manifest, Package
from sark_opa.sandbox.packages.signature import Signature, Trust
from sark_opa.sandbox.protocol import SOURCE_BYTES_MAX

SUFFIX: Final = ".sarkplugin"
FORMAT: Final = 1
ABOUT_NAME: Final = "MANIFEST.json"
SIGNATURE_NAME: Final = "SIGNATURE.json"
CASES_NAME: Final = "cases.yaml"
README_NAME: Final = "README.md"
ABOUT_BYTES_MAX: Final = 128 << 10
SIGNATURE_BYTES_MAX: Final = 1 << 10
TEXT_BYTES_MAX: Final = 256 << 10
"""Of `cases.yaml`, and of `README.md`."""
ENTRIES_MAX: Final = 6
ARCHIVE_BYTES_MAX: Final = 1 << 20

_INSTANT: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest a ZIP file can say; when a plugin was packed is nobody's business."""
_UNIX: Final = 3
_REGULAR_FILE: Final = 0o100644 << 16


class FileNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the archive: its size, and its SHA-256 in hex."""

    bytes: int
    sha256: str


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of `MANIFEST.json`: what tools need to know without reading YAML, and the digest of every file."""

    format: int
    name: str
    version: str
    description: str
    requires: list[str]
    needs: list[str]
    config_schema: dict[str, Any]
    files: dict[str, FileNote]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive whose form is sound; whether it is trusted, and whether its plugin is any good, is not said.

    Attributes:
        origin: where it is from, as people read it.
        about: its `MANIFEST.json`.
        about_bytes: the same as it is signed.
        files: its files by name, without `MANIFEST.json` and `SIGNATURE.json`.
        signature: None where it is not signed.
    """

    origin: str
    about: About
    about_bytes: bytes
    files: Mapping[str, bytes]
    signature: Signature | None


def packed(files: Mapping[str, bytes], manifest: Manifest) -> bytes:
    """The archive of a plugin's files, not signed."""
    return _zip({**files, ABOUT_NAME: _json(_about(files, manifest))})


def signed(archive: Archive, made: Signature) -> bytes:
    """The same archive with a signature, in place of one it may have."""
    return _zip({**archive.files, ABOUT_NAME: archive.about_bytes, SIGNATURE_NAME: _json(made)})


def digest_of(data: bytes) -> str:
    """`sha256:` and the hex digest of a whole archive."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def opened(data: bytes, *, origin: str) -> Archive:
    """The archive these bytes are.

    Raises:
        PluginError: they are none, or not in the one form an archive has.
    """
    entries = _entries(data, origin)
    about_bytes = entries.pop(ABOUT_NAME, None)
    if about_bytes is None:
        raise _damaged(origin, f"it has no {ABOUT_NAME}")
    signature_bytes = entries.pop(SIGNATURE_NAME, None)
    try:
        made = None if signature_bytes is None else msgspec.json.decode(signature_bytes, type=Signature)
        about = msgspec.json.decode(about_bytes, type=About)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(origin, str(error)) from error
    if about.format != FORMAT:
        raise PluginError(f"{origin}: its format is {about.format}, this version reads {FORMAT}", path=origin)
    if about.files != _notes(entries):
        raise _damaged(origin, f"a file in it is not the one {ABOUT_NAME} tells of")
    rewritten = _zip(
        {
            **entries,
            ABOUT_NAME: _json(about),
            **({} if made is None else {SIGNATURE_NAME: _json(made)}),
        }
    )
    if rewritten != data:
        raise _damaged(origin, "it is not in the one form an archive has")
    return Archive(origin, about, about_bytes, entries, made)


def read_bytes(data: bytes, *, origin: str, config: Mapping[str, Any] | None = None, trust: Trust) -> Package:
    """The plugin of an archive.

    Args:
        data: the whole archive, as it came.
        origin: where it is from, as people read it: a path, or `upload`.
        config: keyword arguments for the plugin, over those of its manifest.
        trust: whose plugins are taken.

    Raises:
        PluginUnsignedError: it is not signed with a trusted key, and has to be.
        PluginSignatureError: it was changed after it was signed.
        PluginError: it is no archive, or its manifest or configuration is wrong; names file, line and field.
    """
    archive = opened(data, origin=origin)
    # Before anything in it is looked at more closely.
    signer = trust.signer_of(archive.about_bytes, archive.signature, origin)
    return package_of(archive, config, signer)


def package_of(archive: Archive, config: Mapping[str, Any] | None = None, signer: str | None = None) -> Package:
    """The plugin of an archive that has been found trustworthy, or is not to be trusted.

    Raises:
        PluginError: its manifest or configuration is wrong; names file, line and field.
    """
    origin, files = archive.origin, archive.files
    where = f"{origin}/{package.FILE_NAME}"
    manifest, document = package.parsed(_text(archive, package.FILE_NAME), where)
    if archive.about != _about(files, manifest):
        raise _damaged(origin, f"{ABOUT_NAME} and {package.FILE_NAME} differ")
    source = _text(archive, manifest.entry)
    strange = set(files) - {package.FILE_NAME, manifest.entry, CASES_NAME, README_NAME}
    if strange:
        raise _damaged(origin, f"it holds {', '.join(sorted(strange))}, which no archive has")
    checked = package.configured(config, where, manifest, document)
    path = Path(origin)
    return Package(path, path / manifest.entry, source, manifest, checked, origin, signer, document)


def _about(files: Mapping[str, bytes], manifest: Manifest) -> About:
    return About(
        format=FORMAT,
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        requires=list(manifest.requires),
        needs=list(manifest.needs),
        config_schema=manifest.config_schema,
        files=_notes(files),
    )


def _notes(files: Mapping[str, bytes]) -> dict[str, FileNote]:
    return {name: FileNote(len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()}


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def _zip(entries: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, _INSTANT)
            entry.create_system = _UNIX
            entry.external_attr = _REGULAR_FILE
            file.writestr(entry, entries[name])
    return out.getvalue()


def bytes_max_of(name: str) -> int:
    """How large an entry of that name may be; 0 where no archive has one."""
    if name.endswith(".py"):
        return SOURCE_BYTES_MAX
    known = {
        ABOUT_NAME: ABOUT_BYTES_MAX,
        SIGNATURE_NAME: SIGNATURE_BYTES_MAX,
        package.FILE_NAME: MANIFEST_BYTES_MAX,
        CASES_NAME: TEXT_BYTES_MAX,
        README_NAME: TEXT_BYTES_MAX,
    }
    return known.get(name, 0)


def _entries(data: bytes, origin: str) -> dict[str, bytes]:
    """Every file of a ZIP, each within its bound; what else is odd about it shows when it is written again."""
    if len(data) > ARCHIVE_BYTES_MAX:
        raise PluginError(f"{origin}: it is larger than {ARCHIVE_BYTES_MAX >> 10} KiB", path=origin)
    entries: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            found = file.infolist()
            if len(found) > ENTRIES_MAX:
                raise _damaged(origin, f"it has {len(found)} entries, {ENTRIES_MAX} are allowed")
            for entry in found:
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise _damaged(origin, f"{_shown(entry)} is compressed")
                bytes_max = bytes_max_of(entry.filename)
                if not bytes_max:
                    raise _damaged(origin, f"it holds {_shown(entry)}, which no archive has")
                if entry.file_size > bytes_max:
                    raise _damaged(origin, f"{_shown(entry)} is larger than {bytes_max >> 10} KiB")
                entries[entry.filename] = file.read(entry)
    except _UNREADABLE as error:
        raise _damaged(origin, str(error) or type(error).__name__) from error
    return entries


_UNREADABLE: Final = (
    zipfile.BadZipFile,
    NotImplementedError,  # features of ZIP that Python does not know
    RuntimeError,  # an encrypted entry
    EOFError,
    OSError,  # a place in the file that is none
    ValueError,
    OverflowError,
    LookupError,
    struct.error,
)


def _text(archive: Archive, name: str) -> str:
    content = archive.files.get(name)
    if content is None:
        raise _damaged(archive.origin, f"it has no {name}")
    return package.decoded(content, f"{archive.origin}/{name}")


def _damaged(origin: str, why: str) -> PluginError:
    return PluginError(f"{origin}: it is no plugin archive: {why}", path=origin)


def _shown(entry: zipfile.ZipInfo) -> str:
    return ascii(entry.filename)[:80]
