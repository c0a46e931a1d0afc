"""Exports beside the other work of a service: few at once, each on a connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sark_opa.errors import OverloadedError
from sark_opa.reports.export.export import Export
from sark_opa.reports.export.request import ExportRequest
from sark_opa.reports.export.source import charges_of

AT_ONCE: Final = 2
"""Exports of one service process: each takes a share of a core, and a connection."""


class Exports:
    """Opens exports of the database behind a libpq URL."""

    def __init__(self, database_url: str, at_once: int = AT_ONCE) -> None:
        self._database_url = database_url
        self._free = at_once
        self._at_once = at_once

    @asynccontextmanager
    async def opened(self, request: ExportRequest) -> AsyncIterator[Export]:
        """An export, ready to be read for as long as the block lasts.

        Raises:
            OverloadedError: as many as may be are running already.
            InvalidInputError: the period cannot be, or begins before what is kept.
            UnknownAccountError: there is no such org.
            UnavailableError: the database does not answer, or was restored just now.
        """
        if self._free < 1:
            raise OverloadedError(f"{self._at_once} exports are running already; try again when one has ended")
        self._free -= 1
        try:
            async with charges_of(self._database_url) as charges:
                yield await Export.of(charges, request)
        finally:
            self._free += 1
