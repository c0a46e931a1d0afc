"""The small client of a running OPA: typed, and a denial for whatever is no decision."""

from decimal import Decimal

import pytest
from fixtures.opa import RunningOpa, Script, question

from sark_opa.errors import OpaError
from sark_opa.opa.client import OpaClient

pytestmark = pytest.mark.anyio


async def test_decision_is_typed(opa: RunningOpa, service: Script) -> None:
    """Money comes as exact decimals, the hold as an object."""
    async with OpaClient(opa.url) as client:
        decision = await client.decision(question())
    assert decision.allow is True
    assert decision.hold is not None
    assert decision.hold.amount_usd == Decimal("0.02")
    assert len(service.asked) == 1


async def test_preview_holds_nothing(opa: RunningOpa, service: Script) -> None:
    """The other entry point is asked by its name."""
    async with OpaClient(opa.url) as client:
        decision = await client.decision(question(), rule="preview")
    assert decision.hold is None
    assert service.asked[0].body["hold"] is False


@pytest.mark.parametrize("rule", ["no_such_rule", "allow", "../../../v1/config"])
async def test_what_is_no_decision_denies(opa: RunningOpa, service: Script, rule: str) -> None:
    """An undefined result, or one of another shape, is a denial with a reason."""
    async with OpaClient(opa.url) as client:
        decision = await client.decision(question(), rule=rule)
    assert decision.allow is False
    assert [reason.code for reason in decision.reasons] == ["decision_malformed"]


async def test_health_policies_and_data(opa: RunningOpa) -> None:
    """What `doctor` looks at."""
    async with OpaClient(opa.url) as client:
        assert await client.health() is True
        assert any(name.endswith("sark/authz/authz.rego") for name in await client.policies())
        assert await client.data("sark/config/hold_mode") == "in_decision"
        assert await client.data("sark/nothing") is None


async def test_nobody_there() -> None:
    """No OPA is an error that names where it was looked for, never a decision."""
    async with OpaClient("http://127.0.0.1:9") as client:
        assert await client.health() is False
        for ask in (client.decision({}), client.policies(), client.data("sark")):
            with pytest.raises(OpaError, match=r"127\.0\.0\.1:9"):
                await ask


@pytest.mark.parametrize("url", ["127.0.0.1:8181", "ftp://opa", ""])
async def test_what_is_no_url(url: str) -> None:
    """A wrong URL is told before anything is asked."""
    with pytest.raises(OpaError, match="no URL"):
        OpaClient(url)
