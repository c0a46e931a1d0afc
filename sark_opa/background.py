"""Jobs that a service process repeats beside its answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sark_opa.errors import SarkError
from sark_opa.logs import get_logger

_log: Final = get_logger("sark_opa.background")


@asynccontextmanager
async def repeating(jobs: Sequence[tuple[str, float, Callable[[], Awaitable[object]]]]) -> AsyncIterator[None]:
    """Repeat each job at its interval until the end; a failure is logged and tried again at the next turn."""

    async def repeat(name: str, interval_s: float, job: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(interval_s)
            try:
                await job()
            except SarkError as error:
                _log.warning("background_job_failed", job=name, code=error.code, error=error.message)
            except Exception as error:  # noqa: BLE001  # a process edge: a job that ends for good would be missed by nobody
                _log.exception("background_job_crashed", job=name, error=type(error).__name__)

    tasks = [asyncio.create_task(repeat(*job), name=job[0]) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
