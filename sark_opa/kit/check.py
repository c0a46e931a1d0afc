"""Everything that is wrong with plugins, found without waiting for the first thing to be put right.

The source is read inside a plugin's process: parsing what a stranger wrote can take an interpreter down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, get_args

from packaging.version import Version

from sark_opa.errors import PluginError
from sark_opa.kit import cases
from sark_opa.kit.trial import Trial
from sark_opa.sandbox.contract import Failure, Limits, Need
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.looking import Check, Checked
from sark_opa.sandbox.packages import manifest
from sark_opa.sandbox.packages.fault import Fault, faults_of
from sark_opa.sandbox.packages.manifest import Manifest, Package
from sark_opa.sandbox.process import GIVEN_UP, Process
from sark_opa.sandbox.spawner import Spawner

_LIMITS: Final = Limits()


async def check(paths: Sequence[Path]) -> list[Fault]:
    """The faults of plugins, and of how they require each other.

    Args:
        paths: of folders, single files and archives.

    Raises:
        UnavailableError: plugins cannot be run here.
    """
    found: list[Fault] = []
    packages: list[Package] = []
    async with AsyncExitStack() as stack:
        spawner = Spawner()
        stack.push_async_callback(spawner.close)
        trial = await stack.enter_async_context(Trial())
        for path in paths:
            try:
                package = manifest.read(path)
            except PluginError as error:
                found += faults_of(error)
                found += await _look_past_manifest(spawner, path)
            else:
                packages.append(package)
                found += await _look_over(spawner, package) or await _try(trial, package)
            found += _look_at_cases(path)
    return [*found, *_requirements(packages)]


async def _look_past_manifest(spawner: Spawner, path: Path) -> list[Fault]:
    """What can be seen in the usual source of a folder whose manifest cannot be read."""
    source = path / Manifest.model_fields["entry"].default
    if not source.is_file():
        return []
    try:
        package = manifest.read(source)
    except PluginError as error:
        return list(faults_of(error))
    # Nobody knows what it asks for, so nothing is said of that.
    outcome = await _looked_over(spawner, Check(package.source, get_args(Need), ("?",)))
    return _seen(package, outcome)


async def _look_over(spawner: Spawner, package: Package) -> list[Fault]:
    """What can be seen in the source."""
    needs = () if package.manifest is None else tuple(package.manifest.needs)
    requires = tuple(needed.name for needed in package.requires)
    outcome = await _looked_over(spawner, Check(package.source, needs, requires))
    found = _seen(package, outcome)
    if isinstance(outcome, Checked):
        found += [
            package.fault("needs", f"{need} is asked for and never used", "take it out")
            for need in outcome.unused_needs
        ]
    return found


async def _looked_over(spawner: Spawner, message: Check) -> Checked | Failure:
    process, _ = await Process.opened(spawner, _LIMITS, lambda *_: None)
    try:
        loop = asyncio.get_running_loop()
        exchange = Exchange(loop, message, (Checked,), wall_s=_LIMITS.wall_ms / 1000)
        process.send(exchange)
        outcome = await exchange.future
    finally:
        process.end(GIVEN_UP)
    assert isinstance(outcome, Checked | Failure)  # noqa: S101  # the process takes nothing else for an answer
    return outcome


def _seen(package: Package, outcome: Checked | Failure) -> list[Fault]:
    source = str(package.source_path)
    if isinstance(outcome, Failure):
        return [Fault(source, f"it cannot be looked over: {outcome.reason}")]
    return [Fault(source, fault.message, fault.line) for fault in outcome.faults]


async def _try(trial: Trial, package: Package) -> list[Fault]:
    """What shows when the plugin is made, with the configuration of its manifest."""
    try:
        await trial.load(package)
    except PluginError as error:
        return list(faults_of(error))
    return []


def _look_at_cases(path: Path) -> list[Fault]:
    if path.is_dir() and not (path / cases.FILE_NAME).exists():
        return [Fault(str(path), f"it has no {cases.FILE_NAME}", remedy="write one case at least; see the guide")]
    if not path.is_dir():
        return []
    try:
        cases.read(path)
    except PluginError as error:
        return list(faults_of(error))
    return []


def _requirements(packages: Sequence[Package]) -> list[Fault]:
    """Circles among the plugins, and versions that will not do."""
    by_name = {package.manifest.name: package for package in packages if package.manifest}
    found = []
    for package in by_name.values():
        for needed in package.requires:
            other = by_name.get(needed.name)
            if other is None or other.manifest is None:
                continue
            if not needed.specifier.contains(Version(other.manifest.version), prereleases=True):
                message = f"{needed} is required, and {other.origin} is version {other.manifest.version}"
                found.append(package.fault("requires", message))
    graph = {name: [needed.name for needed in package.requires] for name, package in by_name.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        message = f"plugins require each other in a circle: {' requires '.join(circle)}"
        found.append(by_name[circle[0]].fault("requires", message, "one of them has to do without"))
    return found
