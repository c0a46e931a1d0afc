"""What `sark-opa plugin …` prints."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from sark_opa.cli import console, errors
from sark_opa.kit.bench import Figures
from sark_opa.kit.cases import CaseResult
from sark_opa.kit.index import Entry
from sark_opa.kit.install import LOCK_NAME, Plan
from sark_opa.sandbox.packages.archive import Archive, digest_of
from sark_opa.sandbox.packages.fault import Fault, printable
from sark_opa.sandbox.packages.signature import key_id_of


def made(place: Path) -> None:
    """A new plugin."""
    _say(f"made {place}: plugin.yaml, plugin.py, cases.yaml, README.md")
    _say(f"next: sark-opa plugin test {place}")


def faults(found: Sequence[Fault], *, count: int, json: bool) -> int:
    """The faults of plugins; the exit status."""
    if json:
        _json({"faults": [dataclasses.asdict(fault) for fault in found]})
    else:
        for fault in found:
            _say(str(fault))
        plugins = "1 plugin" if count == 1 else f"{count} plugins"
        _say(f"{plugins}: {'nothing is wrong' if not found else _counted(len(found), 'fault')}")
    return 1 if found else 0


def cases(results: Sequence[tuple[Path, Sequence[CaseResult]]], *, json: bool) -> int:
    """How cases went; the exit status."""
    every = [result for _, group in results for result in group]
    failed = sum(bool(result.faults) for result in every)
    if json:
        _json({"plugins": [{"path": str(path), "cases": list(group)} for path, group in results]})
        return 1 if failed else 0
    for path, group in results:
        for result in group:
            verdict = "FAILED" if result.faults else "ok"
            _say(f"{path.resolve().name}: {result.name}: {verdict} ({result.elapsed_ms:.1f} ms)")
            if result.faults:
                for fault in result.faults:
                    _say(f"  {fault}")
                for line in result.output.splitlines():
                    _say(f"  | {line}")
    _say(f"{_counted(len(every), 'case')}, {failed} failed")
    return 1 if failed else 0


@contextmanager
def progress(total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=errors, transient=True, disable=not (shown and errors.is_terminal)) as bar:
        task = bar.add_task("asking", total=total)
        yield lambda count: bar.advance(task, count)


def figures(measured: Figures, *, json: bool) -> None:
    """What a benchmark has measured."""
    if json:
        _json(measured)
        return
    memory = "not told by this system" if measured.memory_bytes is None else f"{measured.memory_bytes / 1e6:.1f} MB"
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in (
        ("plugin", measured.plugin),
        ("machine", measured.machine),
        ("calls", f"{measured.calls}, {measured.concurrency} at a time"),
        ("verdicts", ", ".join(f"{count} {kind}" for kind, count in sorted(measured.verdicts.items()))),
        ("one call", f"p50 {measured.p50_ms:.2f} ms, p99 {measured.p99_ms:.2f} ms, max {measured.max_ms:.2f} ms"),
        ("rate", f"{measured.calls_per_s:.0f} calls/s"),
        ("load", f"{measured.load_ms:.1f} ms"),
        ("memory", memory),
    ):
        table.add_row(name, Text(value, overflow="fold"))
    console.print(table)


def packed(place: Path, data: bytes) -> None:
    """A packed plugin."""
    _say(f"packed {place}: {len(data)} bytes, {digest_of(data)}")


def keys(private: Path, public: Path, key: Ed25519PrivateKey) -> None:
    """A new key pair."""
    _say(f"made {key_id_of(key.public_key())}")
    _say(f"  {private}: keep it to yourself")
    _say(f"  {public}: hand it out")


def signed(file: Path, key_id: str) -> None:
    """A signature."""
    _say(f"signed {file} with {key_id}")


def verified(found: Archive, signer: str | None) -> None:
    """Who signed an archive."""
    key_id = found.signature.key_id if found.signature else ""
    _say(f"{found.origin}: {found.about.name} {found.about.version}, signed by {signer} ({key_id})")


def plan(made: Plan, *, done: bool) -> None:
    """What was installed, or would be."""
    _warn(made.left_out)
    for entry in made.new:
        signer = f"signed by {entry.signer}" if entry.signer else "not signed by a key that was given"
        _say(f"{'installed' if done else 'would install'} {entry.candidate} from {entry.path}, {signer}")
    for plugin in made.kept:
        _say(f"kept {plugin.name} {plugin.version}")
    new = {plugin.name for plugin in made.lock.plugins}
    for plugin in made.replaced:
        if plugin.name not in new:
            _say(f"{'removed' if done else 'would remove'} {plugin.name} {plugin.version}, which nothing requires now")
    if done:
        _say(f"{made.into / LOCK_NAME} has {_counted(len(made.lock.plugins), 'plugin')}")


def entries(found: Sequence[Entry], left_out: Sequence[str], *, json: bool) -> None:
    """Archives of a folder."""
    _warn(left_out)
    rows = [
        {
            "name": entry.manifest.name,
            "version": entry.manifest.version,
            "requires": ", ".join(entry.manifest.requires),
            "signer": entry.signer or "",
            "description": entry.manifest.description,
            "digest": entry.digest,
            "file": str(entry.path),
        }
        for entry in found
    ]
    _rows(rows, ("name", "version", "requires", "signer", "description"), json=json)


def loaded(found: Sequence[Mapping[str, Any]], *, json: bool) -> None:
    """Plugins of a service."""
    _rows(found, ("name", "version", "priority", "enabled", "state", "origin"), json=json)


def _rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, json: bool) -> None:
    if json:
        _json({"plugins": list(rows)})
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(row.get(column, ""))) for column in columns))
    console.print(table)


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _warn(lines: Sequence[str]) -> None:
    for line in lines:
        errors.print(Text.assemble(("left out", "yellow"), " ", printable(line)), soft_wrap=True)


def _say(line: str) -> None:
    # Not by way of the console: no markup, no wrapping.
    sys.stdout.write(printable(line).encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode() + "\n")


def _json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
