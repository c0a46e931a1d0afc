"""The local stack's own tokens: made once for a data directory, kept there in a file only its owner reads."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Final

ROLES: Final = ("admin", "facts", "settle")


def new_token() -> str:
    """A random token of 256 bits, with a prefix that secret scanners can look for."""
    return f"sark_{secrets.token_urlsafe(32)}"


def load_or_make(data: Path) -> dict[str, str]:
    """Role to token, from `data/tokens.json`, which is made with mode 0600 when it is missing."""
    file = data / "tokens.json"
    if file.exists():
        stored: dict[str, str] = json.loads(file.read_text())
        return stored
    tokens = {role: new_token() for role in ROLES}
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        json.dump(tokens, stream)
    return tokens
