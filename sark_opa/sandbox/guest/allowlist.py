"""What a plugin may import; loaded before plugins exist, since their processes can read no file."""

from __future__ import annotations

import importlib
import sys
import zoneinfo
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

ALLOWED_MODULES: Final = (
    "__future__",
    "abc",
    "array",
    "asyncio",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "collections.abc",
    "contextlib",
    "contextvars",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "enum",
    "fnmatch",
    "fractions",
    "functools",
    "graphlib",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "ipaddress",
    "itertools",
    "json",
    "logging",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "sark_opa.plugin",
    "secrets",
    "statistics",
    "string",
    "struct",
    "textwrap",
    "time",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "uuid",
    "warnings",
    "weakref",
    "zoneinfo",
)

# Imported by the modules above only when first used: strptime, text encodings, printing a traceback.
_LATE = ("_strptime", "encodings.ascii", "encodings.idna", "encodings.latin_1", "encodings.utf_16", "traceback")


def preload() -> list[object]:
    """Import all of it and read every time zone of the `tzdata` package, so that no file is needed later.

    Returns:
        What has to stay referenced: `ZoneInfo` keeps a zone only as long as somebody holds it.
    """
    for name in (*ALLOWED_MODULES, *_LATE):
        importlib.import_module(name)
    zoneinfo.reset_tzpath(to=())
    return [zoneinfo.ZoneInfo(name) for name in zoneinfo.available_timezones()]


def close_imports() -> None:
    """From here on only what is loaded can be imported, and anything else says why not."""
    sys.meta_path[:] = [_Closed()]
    sys.path.clear()
    sys.path_importer_cache.clear()


class _Closed:
    """Finds nothing, and says what can be done about it."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse."""
        del path, target
        raise ModuleNotFoundError(f"{fullname} cannot be imported in a plugin", name=fullname)
