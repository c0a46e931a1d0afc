"""Reading the price overlay's file: everything is checked, and an error names the file, the line and the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sark_opa.cost import yaml_exact
from sark_opa.cost.overlay import Overlay
from sark_opa.errors import ConfigurationError


def parse_overlay(text: str, *, source: str = "prices") -> Overlay:
    """An overlay from YAML text.

    Raises:
        ConfigurationError: the message names `source`, the line and the field.
    """
    try:
        document = yaml_exact.read(text)
        overlay = Overlay.model_validate({} if document is None else document)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: {error}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{source}: " + "; ".join(_told(text, fault) for fault in error.errors())) from error
    overlap = overlay.overlap()
    if overlap is not None:
        first, second = (yaml_exact.line_of(text, ("models", place)) for place in overlap)
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


def _told(text: str, fault: Any) -> str:
    path = ".".join(str(part) for part in fault["loc"]) or "the document"
    line = yaml_exact.line_of(text, fault["loc"])
    return f"line {line}: {path}: {fault['msg'].removeprefix('Value error, ')}"
