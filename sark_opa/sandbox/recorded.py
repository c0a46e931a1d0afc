"""A host whose plugins are also written down somewhere: what is loaded is recorded before it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from sark_opa.errors import PluginError
from sark_opa.sandbox.contract import PluginInfo
from sark_opa.sandbox.host import PluginHost
from sark_opa.sandbox.packages.manifest import Package
from sark_opa.sandbox.roster import Seat
from sark_opa.sandbox.supervisor import Supervisor


class RecordedHost(PluginHost):
    """A host for plugins that a database holds."""

    async def load_recorded(
        self, package: Package, *, name: str, enabled: bool, record: Callable[[PluginInfo], Awaitable[None]]
    ) -> PluginInfo:
        """Load a plugin as `load_package` does, from any origin, and record it before it takes its place.

        Args:
            package: the plugin.
            name: which it has to have.
            enabled: whether it is asked.
            record: is told what has been loaded once nothing speaks against it. When it raises, what ran goes on.

        Raises:
            PluginError: as `load_package`, or it has another name.
            UnavailableError: as `load_package`.
            SarkError: whatever `record` raises.
        """
        async with self._changing, AsyncExitStack() as on_failure:
            member = self._supervisor(package)
            on_failure.push_async_callback(member.close)
            await member.start()
            if member.name != name:
                raise PluginError(
                    f"{package.source_path}: the plugin calls itself {member.name}; "
                    f"name it {name}, or use {member.name} in the path",
                    path=str(package.source_path),
                    field="name",
                )
            seat = Seat(member, enabled, lambda: package)
            replaced = self._roster.admissible(seat, any_origin=True)
            with self._roster.expecting(seat):
                await record(member.info())
                if replaced is not None and isinstance(replaced.member, Supervisor):
                    await member.take_over(replaced.member)
            self._roster.put(seat)
            on_failure.pop_all()
            await self._let_go(replaced)
        return self._roster.info(name)
