"""What Linux tells of the processes below this one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def cpu_s_below() -> dict[int, float]:
    """CPU time of every process below this one, in seconds; nothing where the system has no /proc."""
    stats = {}
    for place in _PROC.glob("[0-9]*") if _PROC.is_dir() else ():
        try:
            # The name, in parentheses, may hold anything.
            stats[int(place.name)] = (place / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except (OSError, UnicodeDecodeError):
            continue  # it has ended, or is not ours to look at
    below = {os.getpid()}
    while more := {pid for pid, words in stats.items() if int(words[1]) in below} - below:
        below |= more
    return {pid: (int(stats[pid][11]) + int(stats[pid][12])) / _TICKS_PER_S for pid in below - {os.getpid()}}


def unshared_bytes_of_busiest(cpu_s_before: Mapping[int, float]) -> int | None:
    """Memory that only the process has which has used most CPU time since; None where the system does not tell."""
    used = {pid: cpu_s - cpu_s_before.get(pid, 0.0) for pid, cpu_s in cpu_s_below().items()}
    if not used:
        return None
    try:
        text = (_PROC / str(max(used, key=used.__getitem__)) / "smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return None
    return sum(int(kib) << 10 for kib in re.findall(r"^Private_\w+: +(\d+) kB$", text, re.MULTILINE))
