"""The local stack's own tokens: made once for a data directory, kept there in a file only its owner reads."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from sark_opa.errors import ConfigurationError

ROLES: Final = ("admin", "facts", "settle")


def new_token() -> str:
    """A random token of 256 bits, with a prefix that secret scanners can look for."""
    return f"sark_{secrets.token_urlsafe(32)}"


def load_or_make(data: Path) -> dict[str, str]:
    """Role to token, from `data/tokens.json`, which is made with mode 0600 when it is missing.

    Raises:
        ConfigurationError: the file is there and does not hold the tokens.
    """
    file = data / "tokens.json"
    try:
        stored = json.loads(file.read_text())
    except FileNotFoundError:
        tokens = {role: new_token() for role in ROLES}
        write_private(file, json.dumps(tokens))
        return tokens
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: {error}; delete it, and new tokens are made") from error
    if not isinstance(stored, dict) or not all(isinstance(stored.get(role), str) for role in ROLES):
        raise ConfigurationError(f"{file}: holds no tokens; delete it, and new ones are made")
    return {role: stored[role] for role in ROLES}


def write_private(file: Path, text: str) -> None:
    """Put `text` into `file` in one step, so that nobody reads half of it; only its owner may read it at all.

    Raises:
        OSError: it cannot be written.
    """
    handle, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # with mode 0600
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        Path(partial).replace(file)
    finally:
        Path(partial).unlink(missing_ok=True)
