"""Reading a plugin from disk: `plugin.yaml` beside its source, or a single Python file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sark_opa.errors import PluginError
from sark_opa.sandbox.contract import Limits, Need, OnError
from sark_opa.sandbox.protocol import SOURCE_BYTES_MAX, encode

FILE_NAME: Final = "plugin.yaml"
MANIFEST_BYTES_MAX: Final = 64 << 10
CONFIG_BYTES_MAX: Final = 64 << 10

_default_limits: Final = Limits()


class Manifest(BaseModel):
    """What `plugin.yaml` says.

    Attributes:
        name: as the plugin's own `name`.
        version: as the plugin's own `version`.
        description: one line for people.
        entry: file with the source, in the same folder.
        priority: instead of the plugin's own; lower is asked earlier.
        needs: facts the plugin is handed; it is asked once they are known.
        on_error: what it means when the plugin fails or is late.
        timeout_ms: time for one call, from its start.
        config: keyword arguments the plugin is made with; the operator's go over them.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    version: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    description: Annotated[str, StringConstraints(max_length=512)]
    entry: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.py$")] = "plugin.py"
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] | None = None
    needs: list[Need] = []
    on_error: OnError = "deny"
    timeout_ms: Annotated[int, Field(ge=1, le=_default_limits.wall_ms)] = _default_limits.wall_ms
    config: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Package:
    """A plugin as it was read: nothing of it has been run.

    Attributes:
        path: what was asked for, resolved.
        source_path: the file the source was read from.
        source: its text.
        manifest: None for a single file, whose plugin speaks for itself.
        config: keyword arguments for the plugin, the operator's over the manifest's.
    """

    path: Path
    source_path: Path
    source: str
    manifest: Manifest | None
    config: Mapping[str, Any]

    @property
    def source_digest(self) -> str:
        """`sha256:` and the hex digest of the source."""
        return f"sha256:{hashlib.sha256(self.source.encode()).hexdigest()}"


def read(path: Path, config: Mapping[str, Any] | None = None) -> Package:
    """Read a folder with a `plugin.yaml`, or a single `.py` file.

    Raises:
        PluginError: names the file and, where there is one, the line or field.
    """
    path = path.resolve()
    given = dict(config or {})
    if path.is_file() and path.suffix == ".py":
        return Package(path, path, _source(path), None, _checked(path, given))
    manifest_path = path / FILE_NAME
    if not manifest_path.is_file():
        raise PluginError(f"{path} is neither a folder with a {FILE_NAME} nor a .py file", path=str(path))
    manifest = _manifest(manifest_path)
    source_path = path / manifest.entry
    merged = _checked(manifest_path, {**manifest.config, **given})
    return Package(path, source_path, _source(source_path), manifest, merged)


def _manifest(path: Path) -> Manifest:
    text = _text(path, MANIFEST_BYTES_MAX)
    try:
        return Manifest.model_validate(yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise PluginError(f"{path}:{line or 1}: {error.problem}", path=str(path), line=line) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise PluginError(f"{path}: it is no YAML that can be read: {error}", path=str(path)) from error
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"]) or "the file"
        raise PluginError(f"{path}: {field}: {fault['msg']}", path=str(path), field=field) from error


def _checked(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    try:
        size_bytes = len(encode(config))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PluginError(f"{path}: config: {error}", path=str(path), field="config") from error
    if size_bytes > CONFIG_BYTES_MAX:
        raise PluginError(f"{path}: config: larger than {CONFIG_BYTES_MAX >> 10} KiB", path=str(path), field="config")
    return config


def _source(path: Path) -> str:
    return _text(path, SOURCE_BYTES_MAX)


def _text(path: Path, bytes_max: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise PluginError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    if len(content) > bytes_max:
        raise PluginError(f"{path} is larger than {bytes_max >> 10} KiB; a plugin is one small file", path=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PluginError(f"{path}:{line}: it is not UTF-8", path=str(path), line=line) from error
