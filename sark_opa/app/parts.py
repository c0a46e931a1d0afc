"""The parts of a service that settings decide on, and the jobs that look after its databases."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import sark_opa
from sark_opa.budget.ledger import Ledger
from sark_opa.cost import Costing
from sark_opa.evaluation.configured import plugins_of, trust_of
from sark_opa.evaluation.holds import Holds
from sark_opa.evaluation.plugin_set import PluginSet
from sark_opa.evaluation.spooling import Spooling
from sark_opa.federation import Federation
from sark_opa.federation.membership import read as read_membership
from sark_opa.metrics import Metrics
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox.capabilities.rate_windows import rate_windows
from sark_opa.sandbox.doctor import Requirements
from sark_opa.settings import Settings
from sark_opa.storage import price_books, upkeep
from sark_opa.storage.audit import SERVICE, AuditLog, Event
from sark_opa.storage.cells.cells import Cells, Limits, Opened
from sark_opa.storage.plugins import PluginStore
from sark_opa.storage.pool import Pool
from sark_opa.storage.spool import Spool, open_spool

_EXPIRED_ROWS_MAX: Final = 1_000


async def keep_storage(databases: Cells, metrics: Metrics) -> None:
    """Partitions ahead of time, and nothing older than what is kept, in every database."""

    async def keep(opened: Opened) -> float:
        behind_s = (await upkeep.storage(opened.pool)).unfolded_age_s
        await upkeep.keep_partitions(opened.pool)
        await upkeep.drop_old(opened.pool)
        return behind_s

    metrics.summaries_lag(max(await databases.each(keep)))


async def fold(databases: Cells) -> None:
    """Bring new charges into the summaries of every database."""
    await databases.each(lambda opened: upkeep.fold(opened.pool))


@asynccontextmanager
async def cells(settings: Settings, costing: Costing) -> AsyncIterator[Cells]:
    """The databases; each is told what this process prices by."""
    book = costing.book

    async def prepare(pool: Pool) -> None:
        await upkeep.require_own_summaries(pool)
        await price_books.register(pool, book.revision, price_list=book.price_list, overlay=book.canonical)

    limits = Limits(
        pool_size_max=settings.pool_size_max,
        statement_timeout_ms=settings.statement_timeout_ms,
        batch_size_max=settings.batch_size_max,
        ledger_queue_max=settings.ledger_queue_max,
        unknown_orgs=settings.unknown_orgs,
    )
    home_url = settings.database_url.get_secret_value()
    async with Cells.opened(home_url, settings.cells_file, limits, prepare) as opened:
        yield opened


@asynccontextmanager
async def spool(settings: Settings) -> AsyncIterator[Spool | None]:
    """The spool of this process; None: it has none."""
    if settings.spool_dir is None:
        yield None
        return
    async with open_spool(settings.spool_dir, bytes_max=settings.spool_bytes_max) as opened:
        yield opened


@asynccontextmanager
async def federation(
    settings: Settings, databases: Cells, ledger: Ledger, metrics: Metrics
) -> AsyncIterator[Federation | None]:
    """The member of a federation this is, in the database its org lives in now; None: it is in none."""
    if settings.federation_file is None:
        yield None
        return
    membership = read_membership(settings.federation_file)
    async with Federation.opened(
        membership,
        databases.of(membership.org).parts.pool,
        ledger,
        ttl_s=settings.hold_ttl_s,
        ttl_s_max=settings.hold_ttl_s_max,
        deadline_s=settings.statement_timeout_ms / 1000,
        observe=metrics.federation,
    ) as member:
        yield member


def holds(settings: Settings, costing: Costing, ledger: Ledger, metrics: Metrics) -> Holds:
    """Holds of this service."""
    return Holds(
        costing=costing,
        ledger=ledger,
        metrics=metrics,
        ttl_s=settings.hold_ttl_s,
        ttl_s_max=settings.hold_ttl_s_max,
        deadline_s=settings.statement_timeout_ms / 1000,
    )


@asynccontextmanager
async def plugins(
    settings: Settings, store: PluginStore, audit: AuditLog, metrics: Metrics
) -> AsyncIterator[PluginSet]:
    """The plugins, and the processes they run in."""
    windows_url = settings.rate_window_url.get_secret_value() if settings.rate_window_url else "memory://"
    requirements = Requirements(settings.sandbox_min_level, settings.sandbox_require)
    async with rate_windows(windows_url) as windows:
        host = PluginHost(rate_windows=windows, requirements=requirements)
        await host.start()
        try:
            report = host.sandbox()
            metrics.sandbox(report)
            await audit.write(Event(SERVICE, "sandbox.start", socket.gethostname(), details=report))
            found = PluginSet(host=host, store=store, metrics=metrics, trust=trust_of(settings))
            await found.start(plugins_of(settings))
            yield found
        finally:
            await host.close()


def about(costing: Costing, plugins: PluginSet, spooling: Spooling, databases: Cells) -> dict[str, Any]:
    """What `/readyz` tells beside its parts."""
    told: dict[str, Any] = {"cells": databases.states()} if databases.several else {}
    return told | {
        "version": sark_opa.__version__,
        "price_revision": costing.revision,
        "plugins_failing": sorted(plugins.failing),
        "sandbox": plugins.host.sandbox(),
        "spool": spooling.about(),
    }


async def expire_holds(ledger: Ledger, metrics: Metrics) -> None:
    """End what is past its time."""
    ended = _EXPIRED_ROWS_MAX
    while ended >= _EXPIRED_ROWS_MAX:  # there may be more
        ended = await ledger.expire(rows_max=_EXPIRED_ROWS_MAX)
        metrics.ended("expired", ended)
