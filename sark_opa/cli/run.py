"""Commands that run something: the stack, one service, the demo."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from rich.text import Text

from sark_opa import settings as service_settings
from sark_opa.cli import console
from sark_opa.local.stack import Stack, StackOptions, running


def absolute_plugins(names: str) -> str:
    """Names of bundled plugins as they are, folders made absolute, since the service runs elsewhere."""
    parts = [part.strip() for part in names.split(",") if part.strip()]
    return ",".join(str(Path(part).resolve()) if "/" in part or part.startswith(".") else part for part in parts)


def up(
    *,
    data: Path,
    port: int,
    opa_port: int,
    ready_file: Path | None,
    bundle: Path | None,
    settings: Mapping[str, str],
) -> None:
    """Run the stack until it is interrupted."""
    options = StackOptions(
        data=data,
        port=port,
        opa_port=opa_port,
        database_url=os.environ.get("SARK_DATABASE_URL") or None,
        bundle=bundle,
        ready_file=ready_file,
        service_settings={**_own_settings(), **{name: value for name, value in settings.items() if value}},
    )
    asyncio.run(_up(options))


def _own_settings() -> dict[str, str]:
    """What the user set for the service by environment; the stack decides on the rest."""
    decided = {"SARK_DATABASE_URL", "SARK_PORT", "SARK_SOCKET_PATH", "SARK_TEST_DATABASE_URL", "SARK_OPA_BIN"}
    return {name: value for name, value in os.environ.items() if name.startswith("SARK_") and name not in decided}


async def _up(options: StackOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stack = asyncio.create_task(_run(options))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stack, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not stack.done():
        _say("stopping")
        stack.cancel()  # once, and nowhere else: a second time would interrupt the stopping
    try:
        await stack
    except asyncio.CancelledError:
        _say("stopped")


async def _run(options: StackOptions) -> None:
    async with running(options, _say) as stack:
        _tell(stack, options)
        await stack.watch(_say)


def _say(text: str, style: str = "") -> None:
    console.print(Text.assemble(("sark-opa", "dim"), " ", (text, style)), soft_wrap=True)


def _tell(stack: Stack, options: StackOptions) -> None:
    opa_url, service_url = stack.ready["opa_url"], stack.ready["service_url"]
    _say(f"ready. Tokens are in {options.data / 'tokens.json'}", "bold green")
    console.print(
        f"""
  ask OPA          curl -s {opa_url}/v1/data/sark/authz/decision -d @examples/question.json
  set a budget     curl -s -X PUT {service_url}/v1/accounts/acme -H "Authorization: Bearer $ADMIN_TOKEN" \\
                     -d '{{"daily_limit_usd": 100, "unknown_principals": "create"}}'
  the service      {service_url}/readyz   {service_url}/metrics   {service_url}/v1/openapi.json
  stop             Ctrl-C
""",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def serve() -> None:
    """Run one service process."""
    # The other commands need neither FastAPI nor the price book.
    from sark_opa import app  # noqa: PLC0415

    app.serve(service_settings.load())


def demo() -> int:
    """Run the demo; its exit status."""
    from sark_opa.demo import run  # noqa: PLC0415  # same

    return asyncio.run(run(console))


def print_settings() -> None:
    """List the settings as a table."""
    table = Table(box=None, pad_edge=False)
    for column in ("variable", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for name, field in service_settings.Settings.model_fields.items():
        default = "required" if field.is_required() else "" if field.default in {None, ()} else str(field.default)
        table.add_row(f"SARK_{name.upper()}", default, field.description or "")
    console.print(table)
