"""From a package and an empty process to a process with the plugin in it, remembering what it should."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from sark_opa.errors import PluginError
from sark_opa.sandbox.capabilities.rate_windows import RateWindows
from sark_opa.sandbox.contract import Failure, Limits
from sark_opa.sandbox.exchange import Exchange
from sark_opa.sandbox.packages.manifest import FILE_NAME, Package
from sark_opa.sandbox.process import GIVEN_UP, OnEnd, Process
from sark_opa.sandbox.protocol import Load, Loaded, Message, Refused, Reply, Restore, Restored
from sark_opa.sandbox.spare import Spare


async def opened(
    spare: Spare,
    package: Package,
    limits: Limits,
    on_end: OnEnd,
    *,
    windows: RateWindows,
    state: bytes | None = None,
) -> tuple[Process, Loaded]:
    """A process with the package's plugin in it, granted what it needs, and handed `state` if it keeps one.

    Raises:
        PluginError: the plugin cannot be loaded or does not take the state; the message names the file, the line
            or field, and the remedy.
        UnavailableError: no process can be had.
    """
    process = await spare.take()
    process.on_end = on_end
    with ExitStack() as on_failure:
        on_failure.callback(process.end, GIVEN_UP)
        needs = () if package.manifest is None else tuple(package.manifest.needs)
        load = Load(package.source, dict(package.config), needs=needs)
        loaded = await _reply(process, load, Loaded, limits)
        if not isinstance(loaded, Loaded) or process.ended:
            raise _refusal(package, loaded)
        _check_manifest(package, loaded)
        if "rate_window" in needs:
            process.calls.granted = windows.of(loaded.name)
        if state is not None and loaded.keeps_state:
            await restore(process, package, limits, state)
        on_failure.pop_all()
    return process, loaded


async def restore(process: Process, package: Package, limits: Limits, state: bytes) -> None:
    """Hand a loaded plugin what an earlier one remembered.

    Raises:
        PluginError: it does not take it.
    """
    outcome = await _reply(process, Restore(state), Restored, limits)
    if not isinstance(outcome, Restored) or process.ended:
        raise _refusal(package, outcome)


async def _reply(process: Process, message: Message, kind: type[Reply], limits: Limits) -> Reply | Failure:
    loop = asyncio.get_running_loop()
    exchange = Exchange(loop, message, (kind, Refused), wall_s=limits.wall_ms / 1000)
    process.send(exchange)
    return await exchange.future


def _check_manifest(package: Package, loaded: Loaded) -> None:
    manifest = package.manifest
    if manifest is None:
        return
    for field, written, said in (
        ("name", manifest.name, loaded.name),
        ("version", manifest.version, loaded.version),
    ):
        if written != said:
            raise PluginError(
                f"{package.path / FILE_NAME}: {field}: it says {written!r}, the plugin itself {said!r}",
                path=str(package.path),
                field=field,
            )


def _refusal(package: Package, outcome: Reply | Failure) -> PluginError:
    path, line = package.source_path, None
    message = "its process ended right after loading"
    if isinstance(outcome, Failure):
        message = f"it cannot be loaded: {outcome.reason}"
    elif isinstance(outcome, Refused):
        message, line = outcome.message, outcome.line
        if outcome.part == "config":
            message = f"config.{message}"
    return PluginError(f"{path}{f':{line}' if line else ''}: {message}", path=str(path), line=line)
