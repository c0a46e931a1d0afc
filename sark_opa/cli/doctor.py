"""What the stack needs, and what of it runs: sark-opa doctor."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from rich.text import Text

import sark_opa
from sark_opa import bundled
from sark_opa.cli import console
from sark_opa.errors import ConfigurationError, OpaError, SandboxError, SarkError
from sark_opa.local import postgres
from sark_opa.opa.binary import find_or_fetch
from sark_opa.opa.client import OpaClient
from sark_opa.sandbox import PluginHost
from sark_opa.sandbox.doctor import Requirements
from sark_opa.storage.pool import open_pool
from sark_opa.storage.verify import verify_url

_PROBE: Final = {
    "principal": {"id": "sark-opa-doctor", "org": "sark-opa-doctor"},
    "resource": {"id": "openai", "type": "llm"},
    "capability": {"id": "chat.completions"},
    "arguments": {"model": "gpt-4o", "messages": [{"role": "user", "content": "?"}], "max_tokens": 1},
}


async def doctor(database_url: str | None, opa_url: str | None) -> int:
    """Look at what the stack needs, and at what of it runs; 1 when something is missing."""
    looks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("sark-opa", _versions),
        ("data", _folders),
        ("OPA", _opa),
        ("sandbox", _sandbox),
    ]
    if database_url:
        looks += [("PostgreSQL", partial(_server, database_url)), ("ledger", partial(_ledger, database_url))]
    else:
        looks += [("PostgreSQL", _embedded)]
    if opa_url:
        looks += [("running OPA", partial(_running_opa, opa_url))]
    failed = 0
    for part, look in looks:
        try:
            line = Text.assemble(("ok", "green"), f"    {part}: {await look()}")
        except (SarkError, OSError) as error:
            failed += 1
            line = Text.assemble(("fails", "red"), f" {part}: {error}")
        console.print(line, soft_wrap=True)
    return 1 if failed else 0


async def _versions() -> str:
    return f"{sark_opa.__version__} on Python {platform.python_version()}, {platform.platform()}"


async def _folders() -> str:
    return ", ".join(str(bundled.folder(name)) for name in ("rego", "sql", "plugins"))


async def _opa() -> str:
    return str(find_or_fetch(lambda line: console.print(Text(line, "dim"), soft_wrap=True)))


async def _sandbox() -> str:
    """The level, and each layer that does not stand with the reason; what is required is the settings' to say."""
    host = PluginHost()
    await host.start()
    try:
        report = host.sandbox()
    finally:
        await host.close()
    missing = [f"{name}: {layer['reason']}" for name, layer in report["layers"].items() if not layer["active"]]
    tried = f"level {report['level']}, {len(report['canary'])} forbidden acts tried"
    if report["level"] < Requirements().min_level:
        raise SandboxError(f"{tried}; no plugin will be loaded: {'; '.join(missing)}")
    return "; ".join([tried, *missing])


async def _running_opa(url: str) -> str:
    async with OpaClient(url) as client:
        if not await client.health():
            raise OpaError(f"{url} does not answer, or has not loaded its bundles")
        files = await client.policies()
        if not any(name.endswith("sark/authz/authz.rego") for name in files):
            raise OpaError(f"{url} runs without sark-opa's bundle; give it the folder {bundled.folder('rego')}")
        # A preview of anything: whatever the budgets say of it, the facts have to be there.
        decision = await client.decision(_PROBE, rule="preview")
    for reason in decision.reasons:
        if reason.source in {"facts", "client"}:
            raise OpaError(f"{url} gets no facts: {reason.message} ({reason.code}, {reason.details})")
    return f"{len(files)} policy files, and facts from the service"


async def _embedded() -> str:
    program = postgres.binaries("postgres")
    if not program.is_file():
        raise ConfigurationError(f"{program} is missing; install sark-opa again, or set SARK_DATABASE_URL")
    return "embedded (SARK_DATABASE_URL is not set)"


async def _server(database_url: str) -> str:
    async with open_pool(database_url, size_max=1) as pool:
        return str((await pool.rows("show server_version"))[0][0])


async def _ledger(database_url: str) -> str:
    findings = await verify_url(database_url)
    if findings:
        raise SarkError(f"{len(findings)} findings; `sark-opa verify` lists them")
    return "every invariant is true"
