"""The script a zygote's interpreter is started with: `python -I -S bootstrap.py CONTROL_FD FOLDER…`.

The interpreter runs isolated and without site-packages, so it is told here where the few packages it needs
lie: sark_opa, msgspec, tzdata. `sark_opa` and `sark_opa.sandbox` are set up as bare packages, because their
`__init__` would load the service's side, which has no business in a plugin's process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType


def main() -> None:
    """Become the zygote."""
    # The C locale makes the interpreter set LC_CTYPE for its children.
    os.environ.clear()
    sys.path.extend(sys.argv[2:])
    sandbox = Path(__file__).resolve().parent.parent
    for name, folder in (("sark_opa", sandbox.parent), ("sark_opa.sandbox", sandbox)):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from sark_opa.sandbox.guest import zygote  # noqa: PLC0415  # only now can it be found

    zygote.run(int(sys.argv[1]))


if __name__ == "__main__":
    main()
