"""Which organisation lives in which database: the file of `SARK_CELLS_FILE`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg
from psycopg import conninfo

from sark_opa import exact_yaml
from sark_opa.errors import ConfigurationError, InvalidInputError

_ORG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def read(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The libpq URL of each org that does not live in the home database.

    A file is `cells:` with orgs and URLs. `${NAME}` in a URL stands for a variable of the environment.

    Raises:
        ConfigurationError: it cannot be read, or says something else; the message has line and key, and no URL.
    """
    try:
        document = exact_yaml.read(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, InvalidInputError) as error:
        raise ConfigurationError(f"SARK_CELLS_FILE: {error}") from error
    stated = document.value
    if not isinstance(stated, dict) or set(stated) != {"cells"} or not isinstance(stated["cells"], dict):
        raise ConfigurationError(f"SARK_CELLS_FILE: {path}:1: it is `cells:` with an org and its database a line")
    found: dict[str, str] = {}
    for org, url in stated["cells"].items():
        where = f"SARK_CELLS_FILE: {path}:{document.line_of(('cells', org))}: cells.{org}"
        if not _ORG.fullmatch(org):
            raise ConfigurationError(f"{where}: this is no name of an org")
        if not isinstance(url, str):
            raise ConfigurationError(f"{where}: a libpq URL is a text")
        found[org] = _filled(url, environment, where)
        try:
            conninfo.conninfo_to_dict(found[org])
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(f"{where}: this is no libpq URL") from error
    return found


def _filled(url: str, environment: Mapping[str, str], where: str) -> str:
    for name in _REFERENCE.findall(url):
        if name not in environment:
            raise ConfigurationError(f"{where}: the variable {name} is not set")
    return _REFERENCE.sub(lambda match: environment[match[1]], url)
