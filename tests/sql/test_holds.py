"""The life of a hold: held, then settled, released or expired, once."""

import pytest
from fixtures.database import hold_request, org

pytestmark = pytest.mark.anyio


async def test_hold_counts_at_every_level_and_window(ledger):
    """A hold over three levels is set aside in all six windows."""
    await ledger.put_account(org())
    outcome = await ledger.hold(hold_request("r1", 10, team="ml"))
    assert outcome.status == "held"
    assert outcome.hold.path == ("acme/principal/ada", "acme/team/ml", "acme")
    assert [window.held_nanousd for window in outcome.windows] == [10] * 6
