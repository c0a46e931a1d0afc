"""The composition root: settings become a running service. Only this room knows every other."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial

import uvicorn
import uvloop

from sark_opa.api import application
from sark_opa.api.access import Keyring
from sark_opa.api.services import Services
from sark_opa.app import parts
from sark_opa.background import repeating
from sark_opa.cost import Costing, load_overlay
from sark_opa.evaluation.accounts import Accounts
from sark_opa.evaluation.budget_plans import BudgetPlans
from sark_opa.evaluation.evaluator import Evaluator
from sark_opa.evaluation.load import HostLoad
from sark_opa.evaluation.plugins import Plugins
from sark_opa.evaluation.raises import Raises
from sark_opa.evaluation.spooling import Spooling
from sark_opa.evaluation.unpriced import UnpricedCalls
from sark_opa.listeners import listen_tcp, listen_unix, remove_socket
from sark_opa.logs import configure, get_logger
from sark_opa.metrics import Metrics
from sark_opa.reports.cells import CellCosts, CellExports
from sark_opa.reports.export import publisher
from sark_opa.settings import Settings
from sark_opa.storage.audit import AuditLog
from sark_opa.storage.cells.routed import CellAccounts, CellLedger, CellRaises
from sark_opa.storage.plugins import PluginStore
from sark_opa.storage.tokens import active

_log = get_logger("sark_opa.app")
_CELLS_INTERVAL_S = 1.0
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
        spool = await stack.enter_async_context(parts.spool(settings))
        overlay = load_overlay(settings.prices_file) if settings.prices_file else None
        costing = Costing(overlay=overlay, tokenize_chars_max=settings.tokenize_chars_max)
        costing.warm_up()
        cells = await stack.enter_async_context(parts.cells(settings, costing))
        pool, ledger = cells.home.parts.pool, CellLedger(cells)
        costs = await stack.enter_async_context(CellCosts.over(cells, timeout_ms=settings.report_timeout_ms))
        unpriced = UnpricedCalls(costs.count_unpriced)
        stack.push_async_callback(unpriced.close)
        audit, store = AuditLog(pool), PluginStore(pool)
        plugins = await stack.enter_async_context(parts.plugins(settings, store, audit, metrics))
        keyring = Keyring()
        keyring.replace(await active(pool))

        async def refresh_tokens() -> None:
            keyring.replace(await active(pool))

        deadline_s = settings.statement_timeout_ms / 1000
        accounts = CellAccounts(cells)
        holds = parts.holds(settings, costing, ledger, metrics)
        spooling = Spooling(holds, spool, metrics)
        federation = await stack.enter_async_context(parts.federation(settings, cells, ledger, metrics))
        await stack.enter_async_context(
            repeating(
                [
                    ("refresh tokens", settings.token_refresh_s, refresh_tokens),
                    ("follow plugins", settings.plugin_refresh_s, plugins.sync),
                    ("expire holds", settings.expire_interval_s, partial(parts.expire_holds, ledger, metrics)),
                    ("count unpriced calls", settings.fold_interval_s, unpriced.flush),
                    ("fold charges", settings.fold_interval_s, partial(parts.fold, cells)),
                    ("keep storage", _STORAGE_INTERVAL_S, partial(parts.keep_storage, cells, metrics)),
                    ("follow cells", _CELLS_INTERVAL_S, cells.follow),
                    ("deliver the spool", _SPOOL_INTERVAL_S, spooling.deliver),
                    *(() if federation is None else federation.jobs()),
                    *publisher.jobs_of(settings, metrics, lambda: [cell.url for cell in cells.all()]),
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
            raises=Raises(CellRaises(cells), accounts),
            costing=costing,
            plugins=Plugins(plugins, store),
            audit=audit,
            exports=CellExports(cells),
            costs=costs,
            federation=federation,
            keyring=keyring,
            metrics=metrics,
            pings={"database": pool.ping, "plugins": plugins.ping},
            about=partial(parts.about, costing, plugins, spooling, cells),
        )
