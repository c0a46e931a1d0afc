"""The ledger against a model of it: whatever is asked, in whatever order, at whatever time, both say the same."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fixtures.database import Clock, hold_request, org, settlement
from fixtures.ledger_model import PERIODS, Model, in_force
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sark_opa.budget.ledger import Account
from sark_opa.errors import HoldEndedError, InvalidInputError, RequestIdConflictError, SarkError, UnknownHoldError
from sark_opa.storage.ledger import PostgresLedger
from sark_opa.storage.pool import Pool, open_pool
from sark_opa.storage.verify import verify

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Auckland"]
WORDS: dict[type[SarkError], str] = {
    HoldEndedError: "ended",
    UnknownHoldError: "unknown",
    RequestIdConflictError: "conflict",
    InvalidInputError: "cycle",
}
_serial = itertools.count()

request_ids = st.integers(0, 11).map("r{}".format)
principals = st.sampled_from(["p0", "p1", "p2"])
teams = st.sampled_from([None, "a", "b"])
amounts = st.integers(0, 40)
ttls = st.sampled_from([0, 30, 7_200])
limits = st.one_of(st.none(), st.integers(0, 150))
fingerprints = st.sampled_from([b"one", b"one", b"one", b"two"])
enforcements = st.sampled_from(["hard", "hard", "soft", "warn", "shadow"])
quotas = st.fixed_dictionaries(
    {},
    optional={
        "tokens_daily_limit": st.integers(0, 150),
        "tokens_monthly_limit": st.integers(0, 150),
        "calls_daily_limit": st.integers(0, 4),
        "calls_monthly_limit": st.integers(0, 6),
    },
)
counts = st.integers(0, 40)
told_tokens = st.sampled_from(
    [{}, {"input_tokens": 7}, {"input_tokens": 30, "output_tokens": 12, "cache_read_tokens": 9}]
)
on_expiries = st.sampled_from([None, "charge", "release"])
zones = st.sampled_from(ZONES)
below = st.sampled_from(["acme/team/a", "acme/team/b", "acme/principal/p0", "acme/principal/p1"])
above = st.sampled_from(["acme", "acme", "acme/team/a", "acme/team/b"])


class LedgerMachine(RuleBasedStateMachine):
    """Each run has an org of its own; the model knows it as `acme`."""

    def __init__(self, pool: Pool, runner: asyncio.Runner) -> None:
        super().__init__()
        self.pool, self.runner = pool, runner
        self.org = f"acme{next(_serial)}"
        self.clock = Clock(datetime(2024, 3, 9, 1, 30, tzinfo=UTC))
        self.model = Model()
        self.ledger = PostgresLedger(pool, now=self.clock)

    def teardown(self) -> None:
        """Let every hold expire, so that the next run begins with none, and check the invariants of all runs."""
        self.clock.move(days=800)
        assert self.word(self.ledger.expire()) == self.model.expire(self.clock.at)
        self.runner.run(self.ledger.close())
        assert self.runner.run(verify(self.pool)) == []

    def word(self, call: Awaitable[Any]) -> Any:
        """What a call answers, or the word for what it raises."""
        try:
            return self.runner.run(call)
        except tuple(WORDS) as error:
            return WORDS[type(error)]

    def real(self, name: str | None) -> str | None:
        """The name of the model's account in the database."""
        return name and self.org + name.removeprefix("acme")

    def of_model(self, name: str) -> str:
        """The other way round."""
        return "acme" + name.removeprefix(self.org)

    def put(self, account: Account) -> None:
        """Put an account in both, and compare what they say."""
        expected = self.model.put(account, self.clock.at)
        changes = {"name": self.real(account.name), "parent": self.real(account.parent)}
        answer = self.word(self.ledger.put_account(Account(**(_fields(account) | changes))))
        assert (answer if answer == "cycle" else ("created" if answer[1] else "replaced")) == expected

    @initialize(daily=limits, default_daily=limits, enforcement=enforcements)
    def open_org(self, daily, default_daily, enforcement):
        """An org that creates its principals."""
        self.put(
            org(daily_limit_nanousd=daily, default_daily_limit_nanousd=default_daily, default_enforcement=enforcement)
        )

    @rule(
        daily=limits, monthly=limits, zone=zones, enforcement=enforcements, on_expiry=on_expiries, default=limits,
        counted=quotas,
    )  # fmt: skip
    def put_org(self, *, daily, monthly, zone, enforcement, on_expiry, default, counted):
        """New settings for the org."""
        self.put(
            org(
                daily_limit_nanousd=daily, monthly_limit_nanousd=monthly, timezone=zone, enforcement=enforcement,
                on_expiry=on_expiry, default_monthly_limit_nanousd=default, **counted,
            )
        )  # fmt: skip

    @rule(
        name=below, parent=above, daily=limits, monthly=limits, zone=zones, enforcement=enforcements,
        on_expiry=on_expiries, counted=quotas,
    )  # fmt: skip
    def put_below(self, *, name, parent, daily, monthly, zone, enforcement, on_expiry, counted):
        """New settings for a team or principal, which may move it."""
        if parent in self.model.accounts:
            self.put(Account(name, parent, daily, monthly, zone, enforcement, on_expiry, **counted))

    @rule(
        request_id=request_ids, principal=principals, team=teams, expected=amounts, more=amounts, ttl_s=ttls,
        fingerprint=fingerprints, tokens=counts, more_tokens=counts,
    )  # fmt: skip
    def hold(self, *, request_id, principal, team, expected, more, ttl_s, fingerprint, tokens, more_tokens):
        """Ask for money."""
        request = hold_request(
            request_id, expected + more, expected=expected, principal_id=principal, team=team, ttl_s=ttl_s,
            fingerprint=fingerprint, org=self.org, expected_tokens=tokens, upper_tokens=tokens + more_tokens,
        )  # fmt: skip
        told = self.model.hold(request, self.clock.at)
        outcome = self.word(self.ledger.hold(request))
        blocked = outcome.blocked
        assert (
            outcome.status,
            blocked and " ".join(filter(None, (self.of_model(blocked.account), blocked.unit))),
            blocked and blocked.window,
        ) == told
        if outcome.hold is not None:
            self.compare_hold(outcome.hold)

    def compare_hold(self, hold):
        """A hold as the ledger tells it, and as the model has it."""
        known = self.model.holds[hold.request_id]
        assert [self.of_model(name) for name in hold.path] == known.path
        assert (hold.state, hold.amount_nanousd, hold.created_at, hold.expires_at, hold.actual_nanousd) == (
            known.state, max(known.amounts), known.charged_at, known.expires_at,
            known.booked if known.state == "settled" else None,
        )  # fmt: skip

    @rule(request_id=request_ids, actual=amounts, tokens=told_tokens)
    def settle(self, request_id, actual, tokens):
        """End a hold with what was billed."""
        ended = settlement(request_id, actual, org=self.org, tokens=tokens)
        self.compare_charge(self.model.settle(ended), self.word(self.ledger.settle(ended)), request_id)

    @rule(request_id=request_ids, principal=principals, amount=amounts, fingerprint=fingerprints, tokens=told_tokens)
    def charge(self, *, request_id, principal, amount, fingerprint, tokens):
        """Book a cost without a hold; some request_ids are those of holds."""
        request = hold_request(request_id, amount, principal_id=principal, fingerprint=fingerprint, org=self.org)
        ended = settlement(request_id, amount, org=self.org, tokens=tokens)
        told = self.model.charge(request, ended, self.clock.at)
        self.compare_charge(told, self.word(self.ledger.charge(request, ended)), request_id)

    def compare_charge(self, told, charge, request_id):
        """A charge, or why there is none."""
        if told != "settled":
            assert charge == told
            return
        known = self.model.holds[request_id]
        assert (charge.actual_nanousd, charge.held_nanousd, charge.charged_at, charge.late, charge.hold_exceeded) == (
            known.booked, max(known.amounts), known.charged_at, *known.flags,
        )  # fmt: skip

    @rule(request_id=request_ids)
    def release(self, request_id):
        """End a hold unused."""
        self.compare_end(self.model.release(request_id), self.word(self.ledger.release(self.org, request_id)))

    @rule(request_id=request_ids, ttl_s=ttls)
    def extend(self, request_id, ttl_s):
        """Let a hold live longer."""
        told = self.model.extend(request_id, ttl_s, self.clock.at)
        self.compare_end(told, self.word(self.ledger.extend(self.org, request_id, ttl_s)))

    def compare_end(self, told, hold):
        """A hold, or why there is none."""
        if told in {"ended", "unknown"}:
            assert hold == told
        else:
            self.compare_hold(hold)

    @rule()
    def expire(self):
        """End what is over."""
        assert self.word(self.ledger.expire()) == self.model.expire(self.clock.at)

    @rule(minutes=st.sampled_from([1, 45, 300, 900, 1_440, 20_000, 45_000, -1, -45, -300]))
    def pass_time(self, minutes):
        """Time passes: minutes, a day, a month; or the clock is set back."""
        self.clock.move(minutes=minutes)

    @invariant()
    def stand_where_the_model_does(self):
        """Every account stands where the model says, in both windows."""
        for name, account in self.model.accounts.items():
            standing = self.runner.run(self.ledger.account_standing(self.real(name)))
            self.compare_quotas(name, standing.quotas)
            windows = standing.windows[:2]
            for window, period in zip(windows, PERIODS, strict=True):
                seen = account.seen(period, self.clock.at)
                assert (
                    window.window, window.limit_nanousd, window.spent_nanousd, window.held_nanousd, window.starts_at,
                    window.resets_at, window.enforcement,
                ) == (
                    period, account.limit(period), seen.spent, seen.held, seen.starts_at, seen.ends_at,
                    account.settings.enforcement,
                )  # fmt: skip

    def compare_quotas(self, name, found):
        """The quotas of an account's whole path, as the ledger tells them, and as the model has them."""
        expected = []
        for meter in self.model.meters_of(self.model.path(name)):
            counted = self.model.meters[meter]
            assert in_force(counted)
            for period in PERIODS:
                if (limit := counted.limit(period)) is not None:
                    seen = counted.seen(period, self.clock.at)
                    where = (meter, period, counted.settings.enforcement)
                    expected.append((*where, limit, seen.spent, seen.held, seen.starts_at, seen.ends_at))
        assert [
            (
                f"{self.of_model(q.account)} {q.unit}", q.window, q.enforcement, q.limit, q.used, q.held, q.starts_at,
                q.resets_at,
            )
            for q in found
        ] == expected  # fmt: skip


def _fields(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in Account.__dataclass_fields__}


def test_the_ledger_does_what_its_model_does(database_url):
    """Holds, their ends, charges, accounts, zones and time in any order: same answers, same standing, sound data."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        pool = runner.run(stack.enter_async_context(open_pool(database_url)))
        try:
            run_state_machine_as_test(
                partial(LedgerMachine, pool, runner),
                settings=settings(max_examples=40, stateful_step_count=30, deadline=None),
            )
        finally:
            runner.run(stack.aclose())
