"""`sark-opa demo`: the main job on real input, in a stack of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import aiohttp
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sark_opa.client import AsyncSarkClient
from sark_opa.demo import scenes
from sark_opa.demo.world import ORG, Outcome, World
from sark_opa.local.stack import Stack, StackOptions, running
from sark_opa.storage.verify import verify_url

_SCENES: tuple[Callable[[World], Awaitable[Outcome]], ...] = (
    scenes.chat_is_allowed_and_settled,
    scenes.team_budget_refuses,
    scenes.all_that_fits_is_too_much_for_a_plugin,
    scenes.half_of_what_fits_passes,
    scenes.anthropic_with_system_prompt,
    scenes.unknown_model_is_never_free,
    scenes.free_tool,
    scenes.unpriced_tool,
    scenes.out_of_business_hours,
    scenes.rate_limited,
    scenes.authors_rule,
    scenes.race,
)


async def run(console: Console) -> int:
    """Play every scene; 0 when all went as stated, else 1."""
    with tempfile.TemporaryDirectory(prefix="sark-demo-") as folder:
        data = Path(folder)
        config = data / "plugins.yaml"
        config.write_text(yaml.safe_dump(plugins_config(datetime.now(UTC))))
        prices = data / "prices.yaml"
        prices.write_text(resources.files(__package__).joinpath("prices.yaml").read_text())
        options = StackOptions(
            data=data,
            port=0,
            opa_port=0,
            service_settings={
                "SARK_PRICES_FILE": str(prices),
                "SARK_PLUGINS": "business_hours,rate_limit,cost_aware",
                "SARK_PLUGINS_CONFIG_FILE": str(config),
                "SARK_LOG_LEVEL": "warning",
            },
        )
        async with running(options, lambda step: console.print(Text(step, "dim"), soft_wrap=True)) as stack:
            outcomes = await _play(stack)
            findings = await verify_url(stack.ready["database_url"])
    found = "; ".join(finding.message for finding in findings) or "every invariant true"
    outcomes.append(Outcome("sark-opa verify, over all of it", "every invariant true", found))
    _show(console, outcomes)
    wrong = sum(not outcome.as_stated for outcome in outcomes)
    if wrong:
        console.print(f"[bold red]{wrong} of {len(outcomes)} outcomes differ from what is stated[/bold red]")
        return 1
    console.print(f"[bold green]all {len(outcomes)} outcomes are as stated[/bold green]")
    return 0


def plugins_config(now: datetime) -> dict[str, dict[str, object]]:
    """Hours that are over now, for one resource; a small rate.

    The hour of business lies twelve hours from now, and the days exclude none, so that the outcome does not depend
    on when the demo runs.
    """
    start = (now + timedelta(hours=12)).hour
    return {
        "business_hours": {
            "timezone": "UTC",
            "start_hour": start if start < 23 else 22,  # noqa: PLR2004  # the day ends at 24
            "end_hour": start + 1 if start < 23 else 23,  # noqa: PLR2004  # same
            "resources": ["prod-database"],
        },
        "rate_limit": {"max_requests": scenes.RATE_MAX, "window_seconds": 3600, "resources": ["internal-wiki"]},
    }


async def _play(stack: Stack) -> list[Outcome]:
    headers = {"Authorization": f"Bearer {stack.ready['admin_token']}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as admin,
        AsyncSarkClient(
            stack.ready["opa_url"], service_url=stack.ready["service_url"], token=stack.ready["settle_token"]
        ) as client,
    ):
        world = World(stack, client, admin)
        await world.put_account(
            ORG, daily_limit_usd=1000, monthly_limit_usd=20000, timezone="Europe/Paris", unknown_principals="create"
        )
        await world.put_account(f"{ORG}/team/support", parent=ORG, daily_limit_usd=50)
        outcomes = [await scene(world) for scene in _SCENES]
        outcomes += await scenes.service_dies_and_comes_back(world)
        return outcomes


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table(title="What was asked, and what OPA decided", show_lines=True)
    table.add_column("", no_wrap=True)
    table.add_column("call", ratio=3, overflow="fold")
    table.add_column("decision", ratio=3, overflow="fold")
    table.add_column("reasons and figures", ratio=5, overflow="fold")
    for outcome in outcomes:
        mark = "[green]ok[/green]" if outcome.as_stated else "[red]DIFFERS[/red]"
        decision = outcome.seen if outcome.as_stated else f"{outcome.seen}\n[red]stated: {outcome.stated}[/red]"
        table.add_row(mark, outcome.title, decision, "\n".join(outcome.notes))
    console.print(table)
