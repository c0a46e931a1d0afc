"""Delivering a spool without a service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from sark_opa.cost import Costing, load_overlay
from sark_opa.evaluation.holds import Holds
from sark_opa.evaluation.spooling import Spooling
from sark_opa.metrics import Metrics
from sark_opa.settings import Settings
from sark_opa.storage.cells.cells import Cells, Limits
from sark_opa.storage.cells.routed import CellLedger
from sark_opa.storage.spool import open_spool


async def deliver(configured: Settings) -> dict[str, Any]:
    """Book what the spool of `configured.spool_dir` holds; what is left in it then.

    Raises:
        ConfigurationError: the spool cannot be used, or a service uses it.
        DatabaseUnavailableError: the database does not answer.
    """
    folder = configured.spool_dir
    assert folder is not None  # noqa: S101  # the caller has set it
    async with AsyncExitStack() as stack:
        spool = await stack.enter_async_context(open_spool(folder, bytes_max=configured.spool_bytes_max))
        limits = Limits(unknown_orgs=configured.unknown_orgs)
        home_url = configured.database_url.get_secret_value()
        cells = await stack.enter_async_context(Cells.opened(home_url, configured.cells_file, limits))
        overlay = load_overlay(configured.prices_file) if configured.prices_file else None
        holds = Holds(
            costing=Costing(overlay=overlay, tokenize_chars_max=configured.tokenize_chars_max),
            ledger=CellLedger(cells),
            metrics=(metrics := Metrics()),
            ttl_s=configured.hold_ttl_s,
            ttl_s_max=configured.hold_ttl_s_max,
            deadline_s=configured.statement_timeout_ms / 1000,
        )
        spooling = Spooling(holds, spool, metrics)
        await spooling.deliver()
        return spooling.about() or {}
