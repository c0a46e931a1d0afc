"""Where the data of the project lies: `rego/`, `sql/` and `plugins/`.

In a checkout they are folders beside the package; a wheel carries them inside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `name` (`rego`, `sql` or `plugins`).

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for base in (_PACKAGE / "_bundled", _PACKAGE.parent):
        if (base / name).is_dir():
            return base / name
    raise FileNotFoundError(f"sark-opa is installed without its {name}/ folder; install it again")
