"""`python -m sark_opa.opa path | fetch | check | test`: what the Makefile needs of OPA."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sark_opa import bundled
from sark_opa.errors import OpaError
from sark_opa.opa import commands
from sark_opa.opa.binary import find_or_fetch


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sark_opa.opa", description=__doc__)
    parser.add_argument("command", choices=("path", "fetch", "check", "test"))
    parser.add_argument("--rego", type=Path, help="bundle directory (default: the one of sark-opa)")
    options = parser.parse_args(arguments)
    try:
        binary = find_or_fetch(lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201  # progress
        if options.command in {"path", "fetch"}:
            sys.stdout.write(f"{binary}\n")
            return 0
        rego = options.rego or bundled.folder("rego")
        tools = {
            "check": (commands.check_format, commands.check, commands.lint, commands.test),
            "test": (commands.test,),
        }[options.command]
        passed = True
        for tool in tools:
            result = tool(binary, rego)
            sys.stdout.write(f"{result.name}: {'ok' if result.passed else 'FAILED'}\n")
            if not result.passed:
                sys.stdout.write(result.output + "\n")
            passed = passed and result.passed
    except OpaError as error:
        sys.stderr.write(error.message + "\n")
        return 2
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
