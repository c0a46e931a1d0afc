"""From a plugin's folder to one file, and that file signed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sark_opa.errors import PluginError
from sark_opa.sandbox.packages import archive, manifest, signature
from sark_opa.sandbox.packages.archive import Archive
from sark_opa.sandbox.packages.package import FILE_NAME, MANIFEST_BYTES_MAX
from sark_opa.sandbox.packages.signature import Trust
from sark_opa.sandbox.protocol import SOURCE_BYTES_MAX


def pack(folder: Path) -> tuple[str, bytes]:
    """The archive of a folder, and the name its file usually has. The same folder gives the same bytes anywhere.

    Raises:
        PluginError: the folder is no plugin, or a file is too large; names file, line and field.
    """
    package = manifest.read(folder)
    if package.manifest is None or not folder.is_dir():
        raise PluginError(f"{folder} is no folder with a {FILE_NAME}; only such are packed", path=str(folder))
    bounds = {
        FILE_NAME: MANIFEST_BYTES_MAX,
        package.manifest.entry: SOURCE_BYTES_MAX,
        archive.CASES_NAME: archive.TEXT_BYTES_MAX,
        archive.README_NAME: archive.TEXT_BYTES_MAX,
    }
    files = {
        name: manifest.content_of(folder / name, bytes_max, "an archive takes no more")
        for name, bytes_max in bounds.items()
        if (folder / name).is_file()
    }
    data = archive.packed(files, package.manifest)
    name = file_name(package.manifest.name, package.manifest.version)
    # What cannot be read again is not handed out.
    archive.package_of(archive.opened(data, origin=name))
    return name, data


def file_name(name: str, version: str) -> str:
    """What the archive of a plugin is called."""
    return f"{name}-{version}{archive.SUFFIX}"


def sign(path: Path, key: Ed25519PrivateKey) -> str:
    """Put a signature into an archive, in place of one it may have.

    Returns:
        The id of the key.

    Raises:
        PluginError: it is no archive, or cannot be written.
    """
    found = read(path)
    made = signature.sign(found.about_bytes, key)
    write(path, archive.signed(found, made))
    return made.key_id


def verify(path: Path, trust: Trust) -> tuple[Archive, str | None]:
    """An archive, and the name of the key it is signed with.

    Raises:
        PluginUnsignedError: it is not signed with a trusted key, and has to be.
        PluginSignatureError: it was changed after it was signed.
        PluginError: it is no archive.
    """
    found = read(path)
    signer = trust.signer_of(found.about_bytes, found.signature, str(path))
    archive.package_of(found)
    return found, signer


def read(path: Path) -> Archive:
    """The archive of a file.

    Raises:
        PluginError: it cannot be read, or is no archive.
    """
    return archive.opened(content(path), origin=str(path))


def content(path: Path) -> bytes:
    """The bytes of an archive's file.

    Raises:
        PluginError: it cannot be read, or is too large.
    """
    return manifest.content_of(path, archive.ARCHIVE_BYTES_MAX, "an archive is no larger")


def write(path: Path, data: bytes) -> None:
    """Write a file as a whole: whoever reads it meanwhile finds the old one or the new one.

    Raises:
        PluginError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            part = Path(file.name)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                part.chmod(0o644)
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise PluginError(f"{path} cannot be written: {error.strerror}", path=str(path)) from error
