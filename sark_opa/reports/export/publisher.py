"""The service's job that publishes exports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sark_opa.errors import DatabaseUnavailableError, SarkError
from sark_opa.logs import get_logger
from sark_opa.metrics import Metrics
from sark_opa.reports.export.encoders import encoder_of
from sark_opa.reports.export.publish import Plan, publish
from sark_opa.reports.export.targets import target_of
from sark_opa.settings import Settings

_log: Final = get_logger("sark_opa.export")


class Publisher:
    """Publishes what has ended or changed, whenever it is told to.

    Args:
        database_urls: libpq URLs of the databases there are now.
        url: where to.
        plan: what.
        metrics: where files are counted.

    Raises:
        ConfigurationError: the URL cannot be, or what it or the format needs is not installed.
    """

    def __init__(self, database_urls: Callable[[], Sequence[str]], url: str, plan: Plan, metrics: Metrics) -> None:
        encoder_of(plan.format, plan.focus_version)  # whether it can be made at all
        self._database_urls = database_urls
        self._target = target_of(url)
        self._plan = plan
        self._metrics = metrics

    async def run(self) -> None:
        """Publish, unless another replica is at it.

        Raises:
            ExportError: the place cannot be reached, or its disk is full.
            DatabaseUnavailableError: the database does not answer.
        """
        failed: SarkError | None = None
        for database_url in self._database_urls():
            try:
                await self._run(database_url)
            except DatabaseUnavailableError as error:
                failed = error  # the others are published all the same
        if failed is not None:
            raise failed

    async def _run(self, database_url: str) -> None:
        published = await publish(database_url, self._target, self._plan)
        if published is None:
            return
        for file in published:
            _log.info("export_published", name=file.name, revision=file.revision, rows=file.rows)
        revised = sum(file.revision > 1 for file in published)
        self._metrics.exported(new=len(published) - revised, revised=revised)


def jobs_of(
    settings: Settings, metrics: Metrics, database_urls: Callable[[], Sequence[str]]
) -> list[tuple[str, float, Callable[[], Awaitable[None]]]]:
    """What `background.repeating` has to repeat: nothing unless a place is set.

    Raises:
        ConfigurationError: as `Publisher` says.
    """
    if settings.export_url is None:
        return []
    plan = Plan(settings.export_format, settings.export_period, settings.export_focus_version, settings.export_delay_s)
    publisher = Publisher(database_urls, settings.export_url, plan, metrics)
    return [("publish exports", settings.export_interval_s, publisher.run)]
