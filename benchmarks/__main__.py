"""`make bench`: every benchmark in turn; each prints its figures beside its baseline.

A part that misses its targets, or fails, does not keep the others from being measured; the exit status tells.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

PARTS = ("estimate", "hold", "plugins", "service", "decision", "breakdown", "export", "reports", "imports")


def main() -> int:
    """Run the parts; 0 when all have met their targets."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"which of {', '.join(PARTS)}; all by default")
    parts = parser.parse_args().parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    missed = []
    for part in parts:
        print(f"\n== {part}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{part}"], check=False).returncode:
            missed.append(part)
    if missed:
        print(f"\nfailed, or missed a target: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
