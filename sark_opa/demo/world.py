"""What the scenes of the demo play in: the stack, a gateway's client, an administrator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from typing import Any

import aiohttp

from sark_opa.client import AsyncSarkClient, Decision
from sark_opa.local.stack import Stack

ORG = "acme"


def payload(name: str) -> dict[str, Any]:
    """A request and its response in the provider's documented shape, from `payloads/{name}.json`."""
    read: dict[str, Any] = json.loads(resources.files(__package__).joinpath(f"payloads/{name}.json").read_text())
    return read


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scene stated and what was seen; `notes` are the reasons and figures to show."""

    title: str
    stated: str
    seen: str
    notes: tuple[str, ...] = ()

    @property
    def as_stated(self) -> bool:
        """Whether the scene went as it had to."""
        return self.stated == self.seen


class World:
    """One demo run. Scenes ask through `client`, as a gateway does, and set budgets through `put_account`."""

    def __init__(self, stack: Stack, client: AsyncSarkClient, admin: aiohttp.ClientSession) -> None:
        self.stack = stack
        self.client = client
        self._admin = admin
        self._serial = 0

    def question(
        self,
        arguments: dict[str, Any],
        *,
        resource: str = "openai",
        kind: str = "llm",
        capability: str = "chat.completions",
        principal: str = "dana",
        team: str | None = "support",
    ) -> dict[str, Any]:
        """A question of its own request_id."""
        self._serial += 1
        return {
            "request_id": f"demo-{self._serial}",
            "principal": {"id": principal, "org": ORG, "team": team, "attributes": {"role": "engineer"}},
            "resource": {"id": resource, "type": kind},
            "capability": {"id": capability},
            "action": "invoke",
            "arguments": arguments,
            "environment": {"ip": "10.20.30.40"},
        }

    async def put_account(self, name: str, **settings: Any) -> None:
        """Create or replace an account."""
        await self._call("PUT", f"/v1/accounts/{name}", json.dumps(settings, default=str))

    async def left_today(self, name: str) -> Decimal | None:
        """What an account has left today, USD; None without a limit."""
        remaining: Decimal | None = (await self._today(name))["remaining_usd"]
        return remaining

    async def spent_today(self, name: str) -> Decimal:
        """What an account has spent today, USD."""
        return Decimal((await self._today(name))["spent_usd"])

    async def held_today(self, name: str) -> Decimal:
        """What is held on an account today, USD."""
        return Decimal((await self._today(name))["held_usd"])

    async def _today(self, name: str) -> Any:
        status = await self._call("GET", f"/v1/accounts/{name}/status")
        return next(row for row in status["accounts"] if (row["account"], row["window"]) == (name, "day"))

    async def _call(self, method: str, path: str, body: str | None = None) -> Any:
        async with self._admin.request(method, self.stack.ready["service_url"] + path, data=body) as answer:
            text = await answer.text()
            if answer.status >= 400:  # noqa: PLR2004  # HTTP's border between answers and refusals
                raise RuntimeError(f"{method} {path}: {answer.status} {text}")
            return json.loads(text, parse_float=Decimal)


def seen(decision: Decision) -> str:
    """A decision in one line: allowed with its warnings, or denied with its codes."""
    if decision.allow:
        codes = [warning.code for warning in decision.warnings]
        return "allowed" + (f", warns {', '.join(codes)}" if codes else "")
    return "denied: " + ", ".join(reason.code for reason in decision.reasons)


def reasons(decision: Decision) -> tuple[str, ...]:
    """The messages of a decision's reasons and warnings."""
    return tuple(reason.message for reason in (*decision.reasons, *decision.warnings))


def usd(amount: Decimal | float | str | None) -> str:
    """An amount for people: all its digits, no trailing zeros."""
    return "no limit" if amount is None else f"${Decimal(str(amount)):f}"
