"""One export: what it will hold is known before its first byte, and checked while it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal

from sark_opa.money import to_usd
from sark_opa.reports.export.encoders import Encoder
from sark_opa.reports.export.request import ExportRequest
from sark_opa.reports.export.source import Charges, Day, Snapshot


@dataclass(frozen=True, slots=True)
class Export:
    """Charges of a period as one snapshot sees them.

    Whoever stops reading in the middle closes the generator (`contextlib.aclosing`), so that the database stops, too.

    Attributes:
        charges: where they are read.
        request: what was asked for.
        snapshot: what counts as charged.
        days: the days with charges, org by org.
    """

    charges: Charges
    request: ExportRequest
    snapshot: Snapshot
    days: Sequence[Day]

    @classmethod
    async def of(cls, charges: Charges, request: ExportRequest, snapshot: Snapshot | None = None) -> Export:
        """Find out what there is to export.

        Args:
            charges: where it is read.
            request: what is asked for.
            snapshot: of an export that is continued; None: as of now.

        Raises:
            InvalidInputError: the period cannot be, or begins before what is kept.
            UnknownAccountError: there is no such org.
            UnavailableError: the database was restored just now.
        """
        seen = snapshot or await charges.snapshot()
        return cls(charges, request, seen, await charges.days(request, seen))

    @property
    def rows(self) -> int:
        """How many charges."""
        return sum(day.charges for day in self.days)

    @property
    def billed_usd(self) -> Decimal:
        """The sum of BilledCost."""
        return to_usd(sum(day.billed_nanousd for day in self.days))

    async def chunks(self, encoder: Encoder) -> AsyncGenerator[bytes, None]:
        """The whole file.

        Raises:
            ExportError: the charges that were read are not those that were promised.
            DatabaseUnavailableError: the database went away.
        """
        yield await asyncio.to_thread(encoder.begin)
        for day in self.days:
            async with aclosing(self.chunks_of(day, encoder)) as chunks:
                async for chunk in chunks:
                    yield chunk
        yield await asyncio.to_thread(encoder.end)

    async def chunks_of(self, day: Day, encoder: Encoder) -> AsyncGenerator[bytes, None]:
        """A day's part of a file.

        Raises:
            ExportError: as in `chunks`.
            DatabaseUnavailableError: the database went away.
        """
        async with aclosing(self.charges.blocks(day, self.snapshot, self.request)) as blocks:
            async for block in blocks:
                if chunk := await asyncio.to_thread(encoder.add, block):
                    yield chunk
        if chunk := await asyncio.to_thread(encoder.end_day):
            yield chunk
