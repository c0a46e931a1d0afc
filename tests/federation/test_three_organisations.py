"""Three organisations, each with its database and its service, each in a network of its own where that may be made."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests
from fixtures.organisations import Organisation, organisations, published, pulled
from fixtures.stack import soon

from sark_opa.storage.verify import verify_url

Three = dict[str, Organisation]


@pytest.fixture(scope="module")
def three(
    server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Organisation]]:
    """The organisations, running."""
    with organisations(server_url, template_database, tmp_path_factory.mktemp("three")) as found:
        yield found


def tomorrow() -> str:
    """So that today counts."""
    return str(datetime.now(UTC).date() + timedelta(days=1))


async def _alike(three: Three) -> None:
    for each in three.values():
        await published(each)
    for each in three.values():
        assert await pulled(each) == []
        assert await verify_url(each.database_url) == []


def assert_alike(three: Three) -> None:
    """Nothing is held, every ledger is whole, and no two members' figures differ."""
    for each in three.values():
        assert each.rows("select request_id from sark.holds where state = 'held'") == []
    asyncio.run(_alike(three))


def settled(host: Organisation, transfer_id: str, usd: float) -> requests.Response:
    """The host's gateway settles a call."""
    return host.api("POST", f"/v1/federation/transfers/{transfer_id}/settle", {"amount_usd": usd})


def test_calls_among_three_are_counted_once(three: Three) -> None:
    """Held on both sides, settled by the host, stated, fetched, merged, compared."""
    acme, globex, initech = (three[name] for name in ("acme", "globex", "initech"))
    for home, host, usd in [(acme, globex, 0.5), (acme, initech, 0.25), (globex, initech, 2), (initech, acme, 3)]:
        answer = home.hold(host.name, f"to-{host.name}", usd=4)
        assert answer.status_code == 200, answer.text
        grant = answer.json()
        assert grant["transfer"]["state"] == "accepted"
        assert grant["hold"]["state"] == "held"
        charge = settled(host, grant["transfer"]["transfer_id"], usd)
        assert charge.status_code == 200, charge.text
        path = f"/v1/federation/transfers/{grant['transfer']['transfer_id']}"
        soon(lambda home=home, path=path: home.api("GET", path).json()["state"] == "settled", within_s=10)
        assert home.api("GET", path).json()["actual_usd"] == usd
    assert acme.spent("acme/principal/ada") == (Decimal("0.75"), 0)
    assert initech.spent("initech/peer/globex") == (2, 0)
    assert_alike(three)
    path = f"/v1/federation/costs?from={datetime.now(UTC).date() - timedelta(days=1)}&to={tomorrow()}"
    assert acme.api("GET", path).json()["total_usd"] == 0.75
    assert acme.api("GET", path + "&principal=ada").json()["consumed_usd"] == 0.75
    assert sum(each.api("GET", path).json()["total_usd"] for each in three.values()) == 5.75
    for command in ("publish", "pull"):
        ran = acme.command("federation", command)
        assert (ran.returncode, ran.stdout.count("globex: 0 ")) == (0, 1), ran.stdout + ran.stderr
    compared = acme.command("federation", "reconcile", "--to", tomorrow())
    assert (compared.returncode, "0 differences" in compared.stdout) == (0, True), compared.stdout
    status = [json.loads(line) for line in acme.command("federation", "status", "--json").stdout.splitlines()]
    assert [(row["peer"], row["sequence"], row["seen"], row["problem"]) for row in status] == [
        ("globex", 1, 1, None),
        ("initech", 1, 1, None),
    ]


def kill_at(path: str, phase: str, victim: Organisation) -> Callable[[str, str], str | None]:
    """A forwarder's hook: kill the victim with -9 before or after a message is carried, and drop the answer."""

    def strike(at: str, now: str) -> str | None:
        if not at.endswith(path) or now != phase:
            return None
        victim.kill()
        return "drop"

    return strike


def test_killed_at_every_message(three: Three) -> None:
    """Home or host is killed with -9 before and after each message, and started again; both end alike."""
    acme, globex = three["acme"], three["globex"]
    before = acme.spent("acme/principal/ada")[0]
    for victim, phase in ((acme, "after"), (globex, "before"), (globex, "after")):
        globex.forwarder.hook = kill_at("/accept", phase, victim)
        try:
            answer = acme.hold("globex", f"kill-{victim.name}-{phase}", ttl_s=8)
            assert answer.json()["code"] == "federation_unavailable"
        except requests.ConnectionError:
            assert victim is acme
        globex.forwarder.hook = lambda *_: None
        victim.start()
    struck = [(acme, "before"), (globex, "after")]
    for victim, phase in struck:
        grant = acme.hold("globex", f"receipt-{victim.name}-{phase}").json()
        acme.forwarder.hook = kill_at("/receipts", phase, victim)
        with contextlib.suppress(requests.ConnectionError):
            settled(globex, grant["transfer"]["transfer_id"], 0.125)
        soon(lambda victim=victim: victim.process.poll() is not None, within_s=20)
        acme.forwarder.hook = lambda *_: None
        victim.start()
    waited_for = "select 1 from sark.federation_transfers where state not in ('settled', 'cancelled', 'lapsed')"
    soon(lambda: not any(each.rows(waited_for) for each in (acme, globex)), within_s=40)
    assert acme.spent("acme/principal/ada")[0] - before == len(struck) * Decimal("0.125")
    assert_alike(three)


def test_a_cable_that_is_pulled(three: Three) -> None:
    """No network between them: no grant, in about the timeout; plugged in again, both sides are free."""
    acme, globex = three["acme"], three["globex"]
    if acme.net.separate:
        globex.net.cut("globex", down=True)
    else:
        globex.forwarder.hook = lambda *_: "drop"
    started = time.monotonic()
    denied = acme.hold("globex", "cut")
    assert (denied.status_code, denied.json()["code"]) == (503, "federation_unavailable")
    assert time.monotonic() - started < 5
    if acme.net.separate:
        globex.net.cut("globex", down=False)
    globex.forwarder.hook = lambda *_: None
    soon(lambda: not acme.rows("select 1 from sark.holds where state = 'held'"), within_s=30)
    assert_alike(three)


def test_who_is_no_member_gets_nothing(three: Three) -> None:
    """Without a signature, with somebody's token, with another's signature."""
    acme, globex = three["acme"], three["globex"]
    for path in ("accept", "cancel", "ask", "receipts"):
        answer = acme.api("POST", f"/v1/federation/{path}", {"payloadType": "x", "payload": "", "signatures": []})
        assert (answer.status_code, answer.json()["code"]) == (422, "federation_invalid")
    answer = acme.api("GET", "/v1/federation/statements?after=0")
    assert (answer.status_code, answer.json()["code"]) == (401, "federation_signature_invalid")
    assert acme.api("GET", "/v1/federation/costs?from=2026-01-02&to=2026-01-02").status_code == 422
    assert acme.api("GET", "/v1/federation/costs?from=tomorrow&to=2026-01-02").status_code == 422
    assert acme.hold("umbrella", "r9").json()["code"] == "federation_invalid"
    assert acme.api("GET", "/v1/federation/transfers/nothing").status_code == 404
    mine = acme.hold("globex", "mine").json()["transfer"]["transfer_id"]
    assert settled(acme, mine, 0.1).json()["code"] == "unknown_transfer"
    assert acme.api("POST", f"/v1/federation/transfers/{mine}/cancel").json()["state"] == "cancelled"
    assert globex.rows("select state from sark.federation_transfers order by created_at desc limit 1") == [
        ("cancelled",)
    ]
