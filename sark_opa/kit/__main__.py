"""`python -m sark_opa.kit FOLDER…`: run the cases of plugins in the sandbox."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from sark_opa.errors import SarkError
from sark_opa.kit import cases


def main(arguments: Sequence[str]) -> int:
    """Print how each case went; 0 when all passed, 1 when one failed, 2 when one could not be run."""
    parser = argparse.ArgumentParser(prog="python -m sark_opa.kit", description=__doc__)
    parser.add_argument("folder", nargs="+", type=Path, help="a plugin's folder, with plugin.yaml and cases.yaml")
    failed = False
    for folder in parser.parse_args(arguments).folder:
        try:
            results = asyncio.run(cases.run(folder))
        except SarkError as error:
            sys.stderr.write(error.message + "\n")
            return 2
        for result in results:
            sys.stdout.write(f"{folder.name}: {result.name}: {'FAILED' if result.faults else 'ok'}\n")
            if result.faults:
                failed = True
                sys.stdout.writelines(f"  {fault}\n" for fault in result.faults)
                sys.stdout.writelines(f"  | {line}\n" for line in result.output.splitlines())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
