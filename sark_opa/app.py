"""The composition root: settings become a running service. Only this module knows every room."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import uvicorn
import uvloop

import sark_opa
from sark_opa.api import application
from sark_opa.api.access import Keyring
from sark_opa.api.services import Services
from sark_opa.background import repeating
from sark_opa.budget.ledger import Ledger
from sark_opa.cost import Costing, load_overlay
from sark_opa.evaluation.accounts import Accounts
from sark_opa.evaluation.budget_plans import BudgetPlans
from sark_opa.evaluation.configured import plugins_of, trust_of
from sark_opa.evaluation.evaluator import Evaluator
from sark_opa.evaluation.holds import Holds
from sark_opa.evaluation.load import HostLoad
from sark_opa.evaluation.plugin_set import PluginSet
from sark_opa.evaluation.plugins import Plugins
from sark_opa.evaluation.raises import Raises
from sark_opa.evaluation.spooling import Spooling
from sark_opa.evaluation.unpriced import UnpricedCalls
from sark_opa.federation import Federation
from sark_opa.federation.membership import read as read_membership
from sark_opa.listeners import listen_tcp, listen_unix, remove_socket
from sark_opa.logs import configure, get_logger
from sark_opa.metrics import Metrics
from sark_opa.reports.costs import Costs
from sark_opa.reports.export import publisher
from sark_opa.reports.export.exports import Exports
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox.capabilities.rate_windows import rate_windows
from sark_opa.sandbox.doctor import Requirements
from sark_opa.settings import Settings
from sark_opa.storage import price_books, upkeep
from sark_opa.storage.accounts import AccountStore
from sark_opa.storage.audit import SERVICE, AuditLog, Event
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.plugins import PluginStore
from sark_opa.storage.pool import Pool, open_pool
from sark_opa.storage.raises import RaiseStore
from sark_opa.storage.spool import Spool, open_spool
from sark_opa.storage.tokens import active

_log = get_logger("sark_opa.app")
_EXPIRED_ROWS_MAX = 1_000
_SPOOL_INTERVAL_S = 0.5
_STORAGE_INTERVAL_S = 60.0
_KEEP_ALIVE_S = 120
"""Longer than OPA keeps an idle connection (90 s), so that it is never the service that hangs up under a question."""


def serve(settings: Settings) -> None:
    """Run one service process until it is told to stop.

    One uvicorn listens on TCP and on the unix socket: measured, it serves both at the same rate, and the socket
    spares OPA the connections that its HTTP client throws away under load (docs/decisions/0002-transports.md).

    Raises:
        SarkError: a part cannot be opened, or an address not be listened on; the message says which.
    """
    configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    async with services_of(settings, Metrics()) as services:
        app = application.build(
            services, body_bytes_max=settings.body_bytes_max, in_flight_max=settings.requests_in_flight_max
        )
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=8,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        path = settings.socket_path
        with ExitStack() as listeners:
            sockets = [listeners.enter_context(listen_tcp(settings.host, settings.port))]
            if path is not None:
                sockets.append(listeners.enter_context(listen_unix(path, int(settings.socket_mode, 8))))
                listeners.callback(remove_socket, path, path.stat().st_ino)
            _log.info("ready", host=settings.host, port=sockets[0].getsockname()[1], socket=str(path or ""))
            await _Server(config).serve(sockets=sockets)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM, and go on to close the parts.

        uvicorn raises the signal once more when it has stopped, which ends the process then and there: with holds on
        their way to the database, connections open, and the socket still lying there.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


@asynccontextmanager
async def services_of(settings: Settings, metrics: Metrics) -> AsyncIterator[Services]:
    """Everything the routes need, opened in order, closed in reverse."""
    async with AsyncExitStack() as stack:
        spool = await stack.enter_async_context(_spool(settings))
        overlay = load_overlay(settings.prices_file) if settings.prices_file else None
        costing = Costing(overlay=overlay, tokenize_chars_max=settings.tokenize_chars_max)
        costing.warm_up()
        pool = await stack.enter_async_context(_pool(settings))
        await upkeep.require_own_summaries(pool)
        ledger = await stack.enter_async_context(_ledger(settings, pool))
        costs = await stack.enter_async_context(_costs(settings))
        unpriced = UnpricedCalls(costs.count_unpriced)
        stack.push_async_callback(unpriced.close)
        book = costing.book
        await price_books.register(pool, book.revision, price_list=book.price_list, overlay=book.canonical)
        audit, store = AuditLog(pool), PluginStore(pool)
        plugins = await stack.enter_async_context(_plugins(settings, store, audit, metrics))
        keyring = Keyring()
        keyring.replace(await active(pool))

        async def refresh_tokens() -> None:
            keyring.replace(await active(pool))

        deadline_s = settings.statement_timeout_ms / 1000
        accounts = AccountStore(pool)
        holds = _holds(settings, costing, ledger, metrics)
        spooling = Spooling(holds, spool, metrics)
        federation = await stack.enter_async_context(_federation(settings, pool, ledger, metrics))
        await stack.enter_async_context(
            repeating(
                [
                    ("refresh tokens", settings.token_refresh_s, refresh_tokens),
                    ("follow plugins", settings.plugin_refresh_s, plugins.sync),
                    ("expire holds", settings.expire_interval_s, partial(_expire_holds, ledger, metrics)),
                    ("count unpriced calls", settings.fold_interval_s, unpriced.flush),
                    ("fold charges", settings.fold_interval_s, partial(upkeep.fold, pool)),
                    ("keep storage", _STORAGE_INTERVAL_S, partial(_keep_storage, pool, metrics)),
                    ("deliver the spool", _SPOOL_INTERVAL_S, spooling.deliver),
                    *(() if federation is None else federation.jobs()),
                    *publisher.jobs_of(settings, metrics),
                ]
            )
        )

        yield Services(
            evaluator=Evaluator(
                costing=costing,
                ledger=ledger,
                plugins=plugins.host,
                metrics=metrics,
                load=HostLoad(settings.requests_in_flight_max),
                hold_ttl_s=settings.hold_ttl_s,
                deadline_ms=settings.facts_deadline_ms,
                unpriced=unpriced,
            ),
            holds=holds,
            spooling=spooling,
            accounts=Accounts(ledger=ledger, store=accounts, deadline_s=deadline_s),
            budgets=BudgetPlans(accounts),
            raises=Raises(RaiseStore(pool), accounts),
            costing=costing,
            plugins=Plugins(plugins, store),
            audit=audit,
            exports=Exports(settings.database_url.get_secret_value()),
            costs=costs,
            federation=federation,
            keyring=keyring,
            metrics=metrics,
            pings={"database": pool.ping, "plugins": plugins.ping},
            about=partial(_about, costing, plugins, spooling),
        )


async def _keep_storage(pool: Pool, metrics: Metrics) -> None:
    """Partitions ahead of time, and nothing older than what is kept."""
    metrics.summaries_lag((await upkeep.storage(pool)).unfolded_age_s)
    await upkeep.keep_partitions(pool)
    await upkeep.drop_old(pool)


def _pool(settings: Settings) -> AbstractAsyncContextManager[Pool]:
    return open_pool(
        settings.database_url.get_secret_value(),
        size_max=settings.pool_size_max,
        statement_timeout_ms=settings.statement_timeout_ms,
    )


def _ledger(settings: Settings, pool: Pool) -> AbstractAsyncContextManager[PostgresLedger]:
    return PostgresLedger.opened(
        pool,
        batch_size_max=settings.batch_size_max,
        queue_max=settings.ledger_queue_max,
        unknown_orgs=settings.unknown_orgs,
    )


def _costs(settings: Settings) -> AbstractAsyncContextManager[Costs]:
    return Costs.opened(settings.database_url.get_secret_value(), timeout_ms=settings.report_timeout_ms)


@asynccontextmanager
async def _spool(settings: Settings) -> AsyncIterator[Spool | None]:
    if settings.spool_dir is None:
        yield None
        return
    async with open_spool(settings.spool_dir, bytes_max=settings.spool_bytes_max) as spool:
        yield spool


@asynccontextmanager
async def _federation(
    settings: Settings, pool: Pool, ledger: Ledger, metrics: Metrics
) -> AsyncIterator[Federation | None]:
    if settings.federation_file is None:
        yield None
        return
    async with Federation.opened(
        read_membership(settings.federation_file),
        pool,
        ledger,
        ttl_s=settings.hold_ttl_s,
        ttl_s_max=settings.hold_ttl_s_max,
        deadline_s=settings.statement_timeout_ms / 1000,
        observe=metrics.federation,
    ) as federation:
        yield federation


def _holds(settings: Settings, costing: Costing, ledger: Ledger, metrics: Metrics) -> Holds:
    return Holds(
        costing=costing,
        ledger=ledger,
        metrics=metrics,
        ttl_s=settings.hold_ttl_s,
        ttl_s_max=settings.hold_ttl_s_max,
        deadline_s=settings.statement_timeout_ms / 1000,
    )


@asynccontextmanager
async def _plugins(
    settings: Settings, store: PluginStore, audit: AuditLog, metrics: Metrics
) -> AsyncIterator[PluginSet]:
    windows_url = settings.rate_window_url.get_secret_value() if settings.rate_window_url else "memory://"
    requirements = Requirements(settings.sandbox_min_level, settings.sandbox_require)
    async with rate_windows(windows_url) as windows:
        host = PluginHost(rate_windows=windows, requirements=requirements)
        await host.start()
        try:
            report = host.sandbox()
            metrics.sandbox(report)
            await audit.write(Event(SERVICE, "sandbox.start", socket.gethostname(), details=report))
            plugins = PluginSet(host=host, store=store, metrics=metrics, trust=trust_of(settings))
            await plugins.start(plugins_of(settings))
            yield plugins
        finally:
            await host.close()


def _about(costing: Costing, plugins: PluginSet, spooling: Spooling) -> dict[str, Any]:
    return {
        "version": sark_opa.__version__,
        "price_revision": costing.revision,
        "plugins_failing": sorted(plugins.failing),
        "sandbox": plugins.host.sandbox(),
        "spool": spooling.about(),
    }


async def _expire_holds(ledger: Ledger, metrics: Metrics) -> None:
    ended = _EXPIRED_ROWS_MAX
    while ended >= _EXPIRED_ROWS_MAX:  # there may be more
        ended = await ledger.expire(rows_max=_EXPIRED_ROWS_MAX)
        metrics.ended("expired", ended)
