"""`make bench`: every benchmark in turn; each prints its figures beside its baseline."""

from __future__ import annotations

import subprocess
import sys

PARTS = ("estimate", "hold", "plugins", "decision")

if __name__ == "__main__":
    for part in PARTS:
        print(f"\n== {part}", flush=True)
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{part}", *sys.argv[1:]], check=False).returncode
        if status:
            sys.exit(status)
