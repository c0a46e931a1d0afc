"""Who is loaded, who of them is asked, and in which order. Every change is checked whole, then made at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sark_opa.errors import ConflictError, NotFoundError, PluginError
from sark_opa.sandbox.chain import Chain
from sark_opa.sandbox.contract import PluginInfo
from sark_opa.sandbox.member import Member
from sark_opa.sandbox.order import Groups, arranged, dependents
from sark_opa.sandbox.packages.manifest import Package
from sark_opa.sandbox.stand_in import StandIn


@dataclass(frozen=True, slots=True)
class Seat:
    """A loaded plugin.

    Attributes:
        member: who is asked.
        enabled: whether it is.
        again: how its package is had again, None where there is none.
    """

    member: Member
    enabled: bool
    again: Callable[[], Package] | None = None


class Roster:
    """The loaded plugins. No method waits, so nobody ever sees half a change.

    Attributes:
        chain: the enabled ones, in the order asked.
    """

    def __init__(self) -> None:
        self.chain = Chain(())
        self._seats: dict[str, Seat] = {}
        self._incoming: Seat | None = None
        self._draining: list[Chain] = []

    def seat(self, name: str) -> Seat:
        """The plugin of that name.

        Raises:
            NotFoundError: none is loaded.
        """
        try:
            return self._seats[name]
        except KeyError:
            raise NotFoundError(f"no plugin named {name} is loaded", plugin=name) from None

    def info(self, name: str) -> PluginInfo:
        """What is to be known of one plugin.

        Raises:
            NotFoundError: none of that name is loaded.
        """
        seat = self.seat(name)
        return dataclasses.replace(seat.member.info(), enabled=seat.enabled)

    def infos(self) -> tuple[PluginInfo, ...]:
        """Of the enabled ones in the order asked, then of the disabled ones."""
        asleep = sorted(_members(self._seats, enabled=False), key=lambda member: (member.priority, member.name))
        return (
            *(member.info() for member in self.chain.plugins),
            *(dataclasses.replace(member.info(), enabled=False) for member in asleep),
        )

    def admissible(self, seat: Seat, *, any_origin: bool) -> Seat | None:
        """The seat this one is to replace, if any.

        Args:
            seat: that is to come.
            any_origin: whether it may replace a plugin that came from somewhere else.

        Raises:
            PluginError: its name is taken, or with it the plugins cannot be brought in an order.
        """
        name = seat.member.name
        replaced = self._seats.get(name)
        if replaced is not None and not any_origin and not _may_replace(seat.member, replaced.member):
            raise PluginError(
                f"{seat.member.origin}: a plugin named {name} is loaded from {replaced.member.origin}; "
                "unload that one first",
                path=seat.member.origin,
                field="name",
                plugin=name,
            )
        _arranged({**self._seats, name: seat})
        return replaced

    @contextmanager
    def expecting(self, seat: Seat) -> Iterator[None]:
        """Until it ends, nothing is changed that would keep this seat from being put in."""
        self._incoming = seat
        try:
            yield
        finally:
            self._incoming = None

    def put(self, seat: Seat) -> None:
        """Let a plugin in, in place of one with its name.

        Raises:
            PluginError: the plugins cannot be brought in an order then.
        """
        self._swap({**self._seats, seat.member.name: seat})

    def remove(self, name: str) -> Seat:
        """Take a plugin out.

        Raises:
            NotFoundError: none of that name is loaded.
            ConflictError: an enabled one requires it.
        """
        seat = self.seat(name)
        self._check_not_required(name, "unloaded")
        self._swap({other: kept for other, kept in self._seats.items() if other != name})
        return seat

    def clear(self) -> tuple[Member, ...]:
        """Take all of them out."""
        members = tuple(seat.member for seat in self._seats.values())
        self._swap({})
        return members

    def switch(self, name: str, *, enabled: bool) -> None:
        """Have a plugin asked, or not.

        Raises:
            NotFoundError: none of that name is loaded.
            ConflictError: it is to be disabled and an enabled one requires it.
            PluginError: it is to be enabled and requires what is not enabled.
        """
        seat = self.seat(name)
        if seat.enabled is enabled:
            return
        if not enabled:
            self._check_not_required(name, "disabled")
        seats = {**self._seats, name: dataclasses.replace(seat, enabled=enabled)}
        if self._incoming is not None:
            _arranged({**seats, self._incoming.member.name: self._incoming})
        self._swap(seats)

    async def drained(self) -> None:
        """Wait for the questions that were asked before the last change."""
        for chain in tuple(self._draining):
            await chain.idle()

    def _check_not_required(self, name: str, change: str) -> None:
        seats = self._seats
        if self._incoming is not None:
            seats = {**seats, self._incoming.member.name: self._incoming}
        others = dependents(name, _members(seats, enabled=True))
        if others:
            raise ConflictError(
                f"{name} cannot be {change}: {', '.join(others)} requires it and is enabled; "
                f"disable or unload {'that one' if len(others) == 1 else 'these'} first",
                plugin=name,
                required_by=others,
            )

    def _swap(self, seats: dict[str, Seat]) -> None:
        before, self.chain = self.chain, Chain(_arranged(seats))
        self._seats = seats
        self._draining = [chain for chain in (*self._draining, before) if not chain.is_idle]


def _arranged(seats: Mapping[str, Seat]) -> Groups:
    return arranged(_members(seats, enabled=True), _members(seats, enabled=False))


def _members(seats: Mapping[str, Seat], *, enabled: bool) -> list[Member]:
    return [seat.member for seat in seats.values() if seat.enabled is enabled]


def _may_replace(new: Member, old: Member) -> bool:
    if isinstance(new, StandIn) or isinstance(old, StandIn):
        return True
    return new.sandboxed and old.sandboxed and new.origin == old.origin
