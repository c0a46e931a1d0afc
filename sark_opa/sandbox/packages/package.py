"""What a manifest says, and a plugin as it was read."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from sark_opa.sandbox.contract import Limits, Need, OnError
from sark_opa.sandbox.packages import config_schema, requirement, yaml_lines
from sark_opa.sandbox.packages.fault import Fault, refusal
from sark_opa.sandbox.packages.yaml_lines import Document
from sark_opa.sandbox.protocol import encode

FILE_NAME: Final = "plugin.yaml"
MANIFEST_BYTES_MAX: Final = 16 << 10
"""Reading YAML is slow: a third of a second for this much of the worst kind."""
CONFIG_BYTES_MAX: Final = 64 << 10
REQUIRES_MAX: Final = 32

_default_limits: Final = Limits()


def _version(text: str) -> str:
    try:
        if str(Version(text)) and text == text.strip():
            return text
    except InvalidVersion:
        pass
    raise ValueError(f"{text!r} is no version such as 1.0.0")


def _requires(texts: list[str]) -> list[str]:
    names = [requirement.parse(text).name for text in texts]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} stands here a second time; write its versions together: {name}>=1,<2")
    return texts


class Manifest(BaseModel):
    """What `plugin.yaml` says.

    Attributes:
        name: as the plugin's own `name`.
        version: as the plugin's own `version`; of the form of Python packages.
        description: one line for people.
        author: who made it.
        license: under which it may be used, such as `Apache-2.0`.
        homepage: where more is told.
        entry: file with the source, in the same folder.
        priority: instead of the plugin's own; lower is asked earlier.
        requires: plugins that are asked earlier and whose verdicts this one is handed, with their versions.
        needs: facts the plugin is handed and capabilities it may call; it is asked once facts are known.
        on_error: what it means when the plugin fails or is late.
        timeout_ms: time for one call, from its start.
        config: keyword arguments the plugin is made with; the operator's go over them.
        config_schema: which configuration it takes, in JSON Schema.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, StringConstraints(pattern=rf"^{requirement.NAME.pattern}$")]
    version: Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_version)]
    description: Annotated[str, StringConstraints(max_length=512)]
    author: Annotated[str, StringConstraints(max_length=256)] = ""
    license: Annotated[str, StringConstraints(max_length=256)] = ""
    homepage: Annotated[str, StringConstraints(max_length=512, pattern=r"^(https?://\S+)?$")] = ""
    entry: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.py$", max_length=64)] = "plugin.py"
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] | None = None
    requires: Annotated[list[str], Field(max_length=REQUIRES_MAX), AfterValidator(_requires)] = []
    needs: list[Need] = []
    on_error: OnError = "deny"
    timeout_ms: Annotated[int, Field(ge=1, le=_default_limits.wall_ms)] = _default_limits.wall_ms
    config: dict[str, Any] = {}
    config_schema: dict[str, Any] = {}

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """`requires`, parsed."""
        return tuple(requirement.parse(text) for text in self.requires)


@dataclass(frozen=True, slots=True)
class Package:
    """A plugin as it was read: nothing of it has been run.

    Attributes:
        path: what was asked for, resolved; no file where the plugin came as bytes.
        source_path: the file the source was read from.
        source: its text.
        manifest: None for a single file, whose plugin speaks for itself.
        config: keyword arguments for the plugin, the operator's over the manifest's.
        origin: where it is from, as people read it: the path, or `upload`.
        signer: name of the trusted key it is signed with, None where it is not.
        document: the text of the manifest with its lines; None for a single file.
    """

    path: Path
    source_path: Path
    source: str
    manifest: Manifest | None
    config: Mapping[str, Any]
    origin: str
    signer: str | None = None
    document: Document | None = field(default=None, repr=False, compare=False)

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """The plugins this one is asked after, with the versions that will do."""
        return () if self.manifest is None else self.manifest.requirements

    @property
    def manifest_path(self) -> str:
        """The manifest as people call it; the source for a single file, which has none."""
        return str(self.source_path if self.manifest is None else self.path / FILE_NAME)

    def fault(self, field: str, message: str, remedy: str = "") -> Fault:
        """Something that is wrong with a field of the manifest."""
        line = None if self.document is None else self.document.line_of((field,))
        return Fault(self.manifest_path, message, line, field, remedy)

    @property
    def source_digest(self) -> str:
        """`sha256:` and the hex digest of the source."""
        return f"sha256:{hashlib.sha256(self.source.encode()).hexdigest()}"


def decoded(content: bytes, where: str) -> str:
    """The text of a file, which is UTF-8.

    Raises:
        PluginError: it is not; the message has the line.
    """
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise refusal([Fault(where, "it is no text: it holds a NUL byte", line)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise refusal([Fault(where, "it is not UTF-8", line, remedy="save it as UTF-8 text")]) from error


def parsed(text: str, where: str) -> tuple[Manifest, Document]:
    """The manifest of a text, and the text's lines.

    Args:
        text: of a `plugin.yaml`.
        where: what people call the file.

    Raises:
        PluginError: its details hold every fault.
    """
    document = yaml_lines.read(text, where)
    stated = document.value.get("config_schema") if isinstance(document.value, dict) else None
    found = [
        _misfit(mismatch, "config_schema", document, where)
        for mismatch in (config_schema.faults_of_schema(stated) if isinstance(stated, dict) else ())
    ]
    try:
        manifest = Manifest.model_validate(document.value)
    except ValidationError as error:
        raise refusal([*(_fault(fault, document, where) for fault in error.errors()), *found]) from error
    if any(wanted.name == manifest.name for wanted in manifest.requirements):
        found.append(Fault(where, f"{manifest.name} requires itself", document.line_of(("requires",)), "requires"))
    if found:
        raise refusal(found)
    return manifest, document


def configured(
    given: Mapping[str, Any] | None, where: str, manifest: Manifest | None, document: Document | None
) -> dict[str, Any]:
    """The configuration of a plugin: the operator's over the manifest's.

    Raises:
        PluginError: it cannot be handed over, or is not what `config_schema` says.
    """
    config = {**(manifest.config if manifest else {}), **(given or {})}
    line = document.line_of(("config",)) if document and "config" in (document.value or {}) else None
    try:
        size_bytes = len(encode(config))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise refusal([Fault(where, str(error), line, "config")]) from error
    if size_bytes > CONFIG_BYTES_MAX:
        raise refusal([Fault(where, f"larger than {CONFIG_BYTES_MAX >> 10} KiB", line, "config")])
    if manifest is None or not manifest.config_schema or document is None:
        return config
    found = []
    for mismatch in config_schema.faults_of_config(manifest.config_schema, config):
        of_manifest = not mismatch.place or mismatch.place[0] not in (given or {})
        found.append(_misfit(mismatch, "config", document if of_manifest else None, where))
    if found:
        raise refusal(found)
    return config


def _misfit(mismatch: config_schema.Mismatch, part: str, document: Document | None, where: str) -> Fault:
    place = (part, *mismatch.place)
    line = None if document is None else document.line_of(place)
    return Fault(where, mismatch.message, line, _dotted(place))


def _fault(error: ErrorDetails, document: Document, where: str) -> Fault:
    place = error["loc"]
    message = error["msg"].removeprefix("Value error, ")
    return Fault(where, message, document.line_of(place), _dotted(place) or "the file", _remedy(error))


def _remedy(error: ErrorDetails) -> str:
    place = error["loc"]
    if error["type"] == "missing":
        return f"add `{_dotted(place)}: …`"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(place[-1]), Manifest.model_fields, n=1)
        return f"did you mean {near[0]}?" if near else f"there are {', '.join(Manifest.model_fields)}"
    if error["type"] == "string_type" and isinstance(error["input"], int | float):
        return f'put it in quotes: "{str(error["input"])[:64]}"'
    return ""


def _dotted(place: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in place)
