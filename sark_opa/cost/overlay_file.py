"""Reading the price overlay's file: everything is checked, and an error names the file, the line and the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sark_opa import exact_yaml
from sark_opa.cost.overlay import Overlay
from sark_opa.errors import ConfigurationError, InvalidInputError


def parse_overlay(text: str, *, source: str = "prices") -> Overlay:
    """An overlay from YAML text.

    Raises:
        ConfigurationError: the message names `source`, the line and the field.
    """
    try:
        document = exact_yaml.read(text, source)
    except InvalidInputError as error:
        raise ConfigurationError(error.message) from error
    try:
        overlay = Overlay.model_validate({} if document.value is None else document.value)
    except ValidationError as error:
        faults = "; ".join(_told(document, fault) for fault in error.errors())
        raise ConfigurationError(f"{source}: {faults}") from error
    overlap = overlay.overlap()
    if overlap is not None:
        first, second = (document.line_of(("models", place)) for place in overlap)
        entry = overlay.models[overlap[1]]
        raise ConfigurationError(
            f"{source}: line {second}: models.{overlap[1]}: {entry.provider}'s {entry.model} has a price already "
            f"on some of these days (line {first}, models.{overlap[0]}); let `until` of one be `from` of the next"
        )
    return overlay


def load_overlay(path: Path) -> Overlay:
    """The overlay in a file.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong; the message names file and field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return parse_overlay(text, source=str(path))


def _told(document: exact_yaml.Document, fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"]) or "the document"
    line = document.line_of(fault["loc"])
    return f"line {line}: {path}: {fault['msg'].removeprefix('Value error, ')}"
