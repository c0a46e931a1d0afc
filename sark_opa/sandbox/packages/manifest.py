"""Reading a plugin: a folder with `plugin.yaml`, a single Python file, an archive, or a text that was sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sark_opa.sandbox.packages import archive, package
from sark_opa.sandbox.packages.fault import Fault, refusal
from sark_opa.sandbox.packages.package import FILE_NAME, MANIFEST_BYTES_MAX, Manifest, Package
from sark_opa.sandbox.packages.signature import TRUST_ALL, Trust
from sark_opa.sandbox.protocol import SOURCE_BYTES_MAX

__all__ = ["FILE_NAME", "Manifest", "Package", "content_of", "of_source", "read"]


def read(path: Path, config: Mapping[str, Any] | None = None, *, trust: Trust = TRUST_ALL) -> Package:
    """Read a folder with a `plugin.yaml`, a single `.py` file, or a `.sarkplugin` archive.

    Args:
        path: of the plugin.
        config: keyword arguments for the plugin, over those of its manifest.
        trust: whose plugins are taken; what is no archive is not signed.

    Raises:
        PluginUnsignedError: it is not signed with a trusted key, and has to be.
        PluginSignatureError: it was changed after it was signed.
        PluginError: names the file and, where there is one, the line or field.
    """
    path = path.resolve()
    if path.is_file() and path.suffix == archive.SUFFIX:
        data = content_of(path, archive.ARCHIVE_BYTES_MAX, "an archive is no larger")
        return archive.read_bytes(data, origin=str(path), config=config, trust=trust)
    trust.signer_of(b"", None, str(path))
    if path.is_file() and path.suffix == ".py":
        return _of_file(path, _source(path), str(path), config)
    manifest_path = path / FILE_NAME
    if not manifest_path.is_file():
        message = f"it is neither a folder with a {FILE_NAME} nor a .py or {archive.SUFFIX} file"
        raise refusal([Fault(str(path), message)])
    text = package.decoded(content_of(manifest_path, MANIFEST_BYTES_MAX, "a manifest is short"), str(manifest_path))
    manifest, document = package.parsed(text, str(manifest_path))
    source_path = path / manifest.entry
    checked = package.configured(config, str(manifest_path), manifest, document)
    return Package(path, source_path, _source(source_path), manifest, checked, str(path), None, document)


def of_source(source: str, *, origin: str, config: Mapping[str, Any] | None = None) -> Package:
    """A plugin of a single file that was sent and lies nowhere.

    Args:
        source: its text.
        origin: where it is from, as people read it, such as `upload`.
        config: keyword arguments for the plugin.

    Raises:
        PluginError: the source is too large or no text, or the configuration cannot be handed over.
    """
    path = Path(origin)
    source_path = path if path.suffix == ".py" else path / "plugin.py"
    try:
        content = source.encode()
    except UnicodeEncodeError as error:
        line = source[: error.start].count("\n") + 1
        raise refusal([Fault(str(source_path), "it holds half a character (a lone surrogate)", line)]) from error
    _check_size(content, SOURCE_BYTES_MAX, str(source_path), "a plugin is one small file")
    return _of_file(source_path, source, origin, config)


def content_of(path: Path, bytes_max: int, why: str) -> bytes:
    """What a file holds.

    Raises:
        PluginError: it cannot be read, or is larger than `bytes_max`; `why` that is too much.
    """
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise refusal([Fault(str(path), f"it cannot be read: {error.strerror}")]) from error
    _check_size(content, bytes_max, str(path), why)
    return content


def _of_file(path: Path, source: str, origin: str, config: Mapping[str, Any] | None) -> Package:
    return Package(path, path, source, None, package.configured(config, str(path), None, None), origin)


def _source(path: Path) -> str:
    return package.decoded(content_of(path, SOURCE_BYTES_MAX, "a plugin is one small file"), str(path))


def _check_size(content: bytes, bytes_max: int, where: str, why: str) -> None:
    if len(content) > bytes_max:
        raise refusal([Fault(where, f"it is larger than {bytes_max >> 10} KiB", remedy=why)])
