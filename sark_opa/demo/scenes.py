"""The scenes: each states what has to happen, makes it happen, and says what was seen."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

from sark_opa.demo.world import ORG, Outcome, World, payload, reasons, seen, usd

RATE_MAX = 5
"""Calls a principal may make in the demo's rate window (see `plugins_config`)."""


async def chat_is_allowed_and_settled(world: World) -> Outcome:
    """132 input tokens at $2.50 and 24 output tokens at $10 per million are $0.00057."""
    chat = payload("openai_chat")
    decision = await world.client.decide(world.question(chat["request"]))
    if decision.hold is None:
        return Outcome("a chat call with a tool", "allowed, settled", seen(decision), reasons(decision))
    charge = await world.client.settle(decision, usage=chat["response"]["usage"])
    estimate = decision.estimate or {}
    return Outcome(
        "a chat call with a tool, settled with the provider's usage",
        "allowed, charged $0.00057",
        f"{seen(decision)}, charged {usd(charge['actual_usd'])}",
        (
            f"held {usd(decision.hold.amount_usd)} as the upper bound ({estimate['bound']})",
            f"expected {usd(estimate['expected_usd'])}",
        ),
    )


async def team_budget_refuses(world: World) -> Outcome:
    """The same call, after the team's budget was cut to a tenth of a cent above what it has spent."""
    limit = await world.spent_today(f"{ORG}/team/support") + Decimal("0.001")
    await world.put_account(f"{ORG}/team/support", parent=ORG, daily_limit_usd=float(limit), enforcement="hard")
    decision = await world.client.decide(world.question(payload("openai_chat")["request"]))
    fits = next((r.details.get("fits") for r in decision.reasons if r.code == "budget_exceeded"), None)
    notes = (*reasons(decision), f"would have fitted: {fits}")
    return Outcome("the same, but the team's daily budget is short", "denied: budget_exceeded", seen(decision), notes)


async def all_that_fits_is_too_much_for_a_plugin(world: World) -> Outcome:
    """The gateway takes the denial's advice to the letter; the bundled plugin keeps the last 5 % of a budget."""
    request = payload("openai_chat")["request"]
    denied = await world.client.decide(world.question(request))
    fits = denied.reasons[0].details["fits"]["max_tokens"] if denied.reasons else None
    decision = await world.client.decide(world.question(request | {"max_completion_tokens": fits}))
    return Outcome(
        "with every token that fits (plugin cost_aware)", "denied: plugin_denied", seen(decision), reasons(decision)
    )


async def half_of_what_fits_passes(world: World) -> Outcome:
    """Half of the advice leaves enough."""
    request = payload("openai_chat")["request"]
    denied = await world.client.decide(world.question(request))
    fits = denied.reasons[0].details["fits"]["max_tokens"] if denied.reasons else 0
    decision = await world.client.decide(world.question(request | {"max_completion_tokens": fits // 2}))
    if decision.hold is not None:
        await world.client.release(decision)
    await world.put_account(f"{ORG}/team/support", parent=ORG, daily_limit_usd=50, enforcement="hard")
    return Outcome("with half of them", "allowed, warns budget_warning", seen(decision), reasons(decision))


async def anthropic_with_system_prompt(world: World) -> Outcome:
    """131 input at $3, 61 cache writes (5 minutes) at $3.75, 38 output at $15 per million are $0.00119175."""
    messages = payload("anthropic_messages")
    asked = world.question(
        messages["request"], resource="anthropic", capability="messages", principal="eli", team="payments"
    )
    decision = await world.client.decide(asked)
    if decision.hold is None:
        return Outcome("an Anthropic call", "allowed", seen(decision), reasons(decision))
    charge = await world.client.settle(decision, usage=messages["response"]["usage"])
    return Outcome(
        "an Anthropic call with a cached system prompt",
        "allowed, charged $0.00119175",
        f"{seen(decision)}, charged {usd(charge['actual_usd'])}",
        (f"held {usd(decision.hold.amount_usd)}, counted by {(decision.estimate or {})['tokens']['input_basis']}",),
    )


async def unknown_model_is_never_free(world: World) -> Outcome:
    """A model no price list knows is held, and charged, at the provider's dearest known price."""
    responses = payload("openai_responses")
    decision = await world.client.decide(world.question(responses["request"], capability="responses"))
    if decision.hold is None:
        return Outcome("an unknown model", "allowed, warns price_default", seen(decision), reasons(decision))
    charge = await world.client.settle(decision, usage=responses["response"]["usage"])
    notes = (*reasons(decision), f"charged {usd(charge['actual_usd'])}")
    return Outcome("a model nobody has a price for", "allowed, warns price_default", seen(decision), notes)


async def free_tool(world: World) -> Outcome:
    """Declared free by the operator's price overlay."""
    tool = payload("mcp_tool")
    asked = world.question(tool["request"], resource="internal-wiki", kind="tool", capability="tools/call")
    decision = await world.client.decide(asked)
    if decision.hold is not None:
        await world.client.settle(decision, usage=tool["response"]["usage"])
    cost = (decision.estimate or {}).get("expected_usd")
    return Outcome("an internal tool the operator declared free", "allowed, $0", f"{seen(decision)}, {usd(cost)}")


async def unpriced_tool(world: World) -> Outcome:
    """Nobody said what it costs, so it is not free."""
    asked = world.question({"query": "flights"}, resource="travel-api", kind="tool", capability="tools/call")
    decision = await world.client.decide(asked)
    return Outcome("a tool nobody has a price for", "denied: unpriced", seen(decision), reasons(decision))


async def out_of_business_hours(world: World) -> Outcome:
    """The bundled plugin, configured so that its hours are over whenever the demo runs."""
    asked = world.question(
        {"statement": "delete from orders"}, resource="prod-database", kind="database", capability="sql.execute"
    )
    decision = await world.client.decide(asked)
    return Outcome(
        "production data out of business hours (plugin)", "denied: plugin_denied", seen(decision), reasons(decision)
    )


async def rate_limited(world: World) -> Outcome:
    """One call more than the plugin's window has room for."""
    tool = payload("mcp_tool")["request"]
    answers = []
    for _ in range(RATE_MAX + 1):
        asked = world.question(
            tool, resource="internal-wiki", kind="tool", capability="tools/call", principal="crawler", team=None
        )
        answers.append(await world.client.decide(asked))
    stated = "allowed " * RATE_MAX + "denied: plugin_denied"
    return Outcome(
        f"{RATE_MAX + 1} calls against a rate of {RATE_MAX} (plugin)",
        stated,
        " ".join(map(seen, answers)),
        reasons(answers[-1]),
    )


async def authors_rule(world: World) -> Outcome:
    """`rego/policies/example_model_access`: interns may use small models only; no facts are asked for."""
    asked = world.question(payload("openai_chat")["request"], principal="ina", team="interns")
    decision = await world.client.decide(asked)
    return Outcome("an author's own Rego rule", "denied: model_not_allowed", seen(decision), reasons(decision))


async def race(world: World) -> Outcome:
    """A hundred at once, on ten principals, against room for seven."""
    chat = payload("openai_chat")["request"]
    team = f"{ORG}/team/race"
    await world.put_account(team, parent=ORG)
    probe = await world.client.decide(world.question(chat, principal="racer-0", team="race"))
    if probe.hold is None:
        return Outcome("100 at once", "7 allowed", seen(probe), reasons(probe))
    await world.client.release(probe)
    await world.put_account(team, parent=ORG, daily_limit_usd=float(probe.hold.amount_usd * Decimal("7.5")))
    asked = [world.question(chat, principal=f"racer-{number % 10}", team="race") for number in range(100)]
    started = time.perf_counter()
    answers = await asyncio.gather(*map(world.client.decide, asked))
    took_ms = (time.perf_counter() - started) * 1000
    allowed = [answer for answer in answers if answer.allow]
    denied = {seen(answer) for answer in answers if not answer.allow}
    held, left = await world.held_today(team), await world.left_today(team)
    for answer in allowed:
        await world.client.release(answer)
    return Outcome(
        "100 calls at once against room for exactly 7",
        "7 allowed, 93 denied: budget_exceeded",
        f"{len(allowed)} allowed, {len(answers) - len(allowed)} {' / '.join(sorted(denied))}",
        (f"{usd(held)} held, {usd(left)} left, in {took_ms:.0f} ms",),
    )


async def service_dies_and_comes_back(world: World) -> tuple[Outcome, ...]:
    """A hold survives the service; while it is dead OPA denies at once; afterwards the hold is settled."""
    chat = payload("openai_chat")
    before = await world.client.decide(world.question(chat["request"], principal="fay", team="payments"))
    await world.stack.service.kill()
    started = time.perf_counter()
    without = await world.client.decide(world.question(chat["request"], principal="fay", team="payments"))
    took_ms = (time.perf_counter() - started) * 1000
    await world.stack.service.start(timeout_s=60)
    after = await world.client.decide(world.question(chat["request"], principal="fay", team="payments"))
    charged = [
        usd((await world.client.settle(decision, usage=chat["response"]["usage"]))["actual_usd"])
        for decision in (before, after)
        if decision.hold is not None
    ]
    spent = await world.spent_today(f"{ORG}/principal/fay")
    return (
        Outcome(
            "the service is killed", "denied: facts_unavailable", seen(without), (f"answered in {took_ms:.0f} ms",)
        ),
        Outcome(
            "the service is back",
            "allowed; both charged $0.00057, $0.00114 in all",
            f"{seen(after)}; both charged {' / '.join(sorted(set(charged)))}, {usd(spent)} in all",
            ("the hold from before was still there to settle",),
        ),
    )
