"""What an export holds: each kind of charge, summed to the nano-dollar, as one snapshot sees it."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from fixtures.exports import Booker, exported, instant, table, total

from sark_opa.errors import ExportError, InvalidInputError, UnknownAccountError
from sark_opa.reports.export.export import Export
from sark_opa.reports.export.mapping import columns
from sark_opa.reports.export.request import request_of
from sark_opa.reports.export.source import charges_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("version", ["1.2", "1.4"])
async def test_the_sum_is_the_ledgers(database_url: str, booker: Booker, execute: Any, version: str) -> None:
    """Every entry is a row, and BilledCost sums up to what is booked, exactly; so do the other costs."""
    booker.every_kind()
    rows = table(await exported(database_url, focus_version=version))
    ((count, nanousd),) = execute("select count(*), sum(actual_nanousd) from sark.cost_tracking")
    assert len(rows) == count
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert total(rows, column) * 10**9 == nanousd
    assert list(rows[0]) == list(columns(version))


async def test_what_is_corrected_nets_out(database_url: str, booker: Booker) -> None:
    """A reversal takes back cost and quantity; after its month has ended it is one of FOCUS's corrections."""
    booker.every_kind()
    rows = table(await exported(database_url))
    expired = {row["x_Entry"]: row for row in rows if row["x_RequestId"] == "expired"}
    assert [expired[entry]["ChargeClass"] for entry in "123"] == ["", "Correction", "Correction"]
    assert [expired[entry]["PricingQuantity"] for entry in "123"] == ["1.0", "-1.0", "1.0"]
    assert [expired[entry]["ConsumedUnit"] for entry in "123"] == ["Requests", "Requests", "Tokens"]
    assert [expired[entry]["x_EntryKind"] for entry in "123"] == ["expiry", "reversal", "charge"]
    assert [expired[entry]["x_Late"] for entry in "123"] == ["false", "true", "true"]
    rerated = {row["x_Entry"]: row for row in rows if row["x_RequestId"] == "rerated"}
    assert [rerated[entry]["ConsumedQuantity"] for entry in "123"] == ["3200.0", "-3200.0", "3200.0"]
    assert [rerated[entry]["ChargeClass"] for entry in "123"] == ["", "", ""]
    assert rerated["3"]["SkuPriceId"] == "openai/gpt-4o@genai-prices-0.2.4+ov-1a2b3c4d"
    assert {row["SkuId"] for row in rerated.values()} == {"openai/gpt-4o"}


async def test_who_and_what_is_told(database_url: str, booker: Booker) -> None:
    """Team from the path, also of a deep tree; provider and model; tools apart; tags whole."""
    booker.every_kind()
    rows = {(row["x_RequestId"], row["x_Entry"]): row for row in table(await exported(database_url))}
    cached, fee, word = rows["cached", "1"], rows["fee", "1"], rows["unicode", "1"]
    assert (cached["SubAccountId"], cached["SubAccountName"], cached["SubAccountType"]) == (
        "acme/team/ml",
        "ml",
        "Team",
    )
    assert rows["deep", "1"]["SubAccountName"] == "deep"
    assert (rows["alone", "1"]["SubAccountId"], rows["alone", "1"]["SubAccountType"]) == ("", "")
    assert (cached["ConsumedQuantity"], cached["ConsumedUnit"], cached["x_CacheReadTokens"]) == (
        "3200.0",
        "Tokens",
        "2000",
    )
    assert json.loads(cached["x_Tokens"])["output_reasoning_tokens"] == 120
    assert json.loads(cached["x_AccountPath"]) == ["acme/principal/ada", "acme/team/ml", "acme"]
    assert (cached["ServiceName"], cached["ServiceCategory"]) == ("openai models", "AI and Machine Learning")
    assert (fee["ServiceName"], fee["ServiceCategory"], fee["ProviderName"]) == (
        "search-api tools",
        "Other",
        "search-api",
    )
    assert (fee["ConsumedQuantity"], fee["ConsumedUnit"], fee["Tags"], fee["x_Model"]) == ("1.0", "Requests", "", "")
    assert word["x_PrincipalId"] == 'Zoë, "the 2nd" 📈'
    assert json.loads(word["Tags"])["lines"] == "one\ntwo"
    assert json.loads(word["Tags"])["ключ"] == "значение"
    assert rows["deep", "1"]["BilledCost"] == "4611686018.427387904"
    assert cached["x_EstimatedCost"] == "0.001500000"


async def test_rows_are_in_order_and_repeat(database_url: str, booker: Booker) -> None:
    """By time, request and entry; the same charges give the same bytes."""
    booker.every_kind()
    first, again = await exported(database_url), await exported(database_url)
    assert first == again
    keys = [(row["x_ChargedAt"], row["x_RequestId"], int(row["x_Entry"])) for row in table(first)]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


async def test_parquet_says_the_same(database_url: str, booker: Booker) -> None:
    """Row by row, in types of its own: decimals, instants, booleans, null apart from empty."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    booker.every_kind()
    written = parquet.read_table(io.BytesIO(await exported(database_url, "parquet")))
    rows = table(await exported(database_url))
    assert written.num_rows == len(rows)
    for row, read in zip(rows, written.to_pylist(), strict=True):
        for name, kind in columns("1.2").items():
            text, value = row[name], read[name]
            if value is None:
                assert text == ""
            elif kind in {"money", "quantity"}:
                assert value == Decimal(text)
            elif kind == "instant":
                assert value == instant(text)
            elif kind == "flag":
                assert str(value).lower() == text
            else:
                assert str(value) == text


async def test_formulas_are_guarded_on_demand(database_url: str, booker: Booker) -> None:
    """As they are by default, since ids are joined on; with an apostrophe for a spreadsheet. Numbers never change."""
    booker.every_kind()
    plain, guarded = table(await exported(database_url)), table(await exported(database_url, escape_formulas=True))
    assert {"=1+1", "-minus"} <= {row["x_RequestId"] for row in plain}
    assert total(plain) == total(guarded)
    kinds = columns("1.2")
    opened = [
        (name, text)
        for row in guarded
        for name, text in row.items()
        if kinds[name] == "text" and text[:1] in set("=+-@\t\r")
    ]
    assert opened == []
    assert any(row["ResourceId"] == "'+SUM(A1)" for row in guarded)


async def test_days_and_months_begin_where_the_org_lives(database_url: str, booker: Booker) -> None:
    """A charge of the last hour of a month in UTC belongs to the next one in Kolkata, in hours that fit its period."""
    booker.org("acme", timezone="Asia/Kolkata")
    booker.charge("before", time="2026-10-31T18:29:59Z")
    booker.charge("first", time="2026-10-31T18:30:00Z")
    booker.charge("last", time="2026-11-30T18:29:59Z")
    rows = {row["x_RequestId"]: row for row in table(await exported(database_url))}
    assert set(rows) == {"first", "last"}
    for row in rows.values():
        starts, ends = instant(row["ChargePeriodStart"]), instant(row["ChargePeriodEnd"])
        assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-10-31T18:30:00Z", "2026-11-30T18:30:00Z")
        assert instant(row["BillingPeriodStart"]) <= starts <= instant(row["x_ChargedAt"]) < ends
        assert ends - starts <= timedelta(hours=1)
        assert ends <= instant(row["BillingPeriodEnd"])
    assert len(table(await exported(database_url, timezone="UTC"))) == 1


@pytest.mark.parametrize(
    ("timezone", "day"),
    [
        ("America/Havana", "2023-11-05"),  # midnight comes twice
        ("America/Havana", "2024-03-10"),  # midnight is skipped
        ("America/Asuncion", "2024-03-24"),  # the last hour before midnight comes twice
        ("Africa/Cairo", "2024-04-26"),
        ("Asia/Kathmandu", "2024-03-01"),
    ],
)
async def test_no_hour_is_lost_where_clocks_change(
    database_url: str, booker: Booker, execute: Any, timezone: str, day: str
) -> None:
    """A charge every quarter of an hour for four days, and each is there once."""
    booker.org("acme", timezone=timezone)
    execute(
        "insert into sark.cost_tracking (time, org, request_id, entry, kind, account, path, principal_id, resource_id, "
        "capability_id, estimated_nanousd, held_nanousd, actual_nanousd, late, hold_exceeded, estimated, budget_day) "
        "select t, 'acme', t::text, 1, 'charge', 'acme', '{acme}', 'p', 'r', 'c', 0, 0, 1, false, false, false, "
        "t::date from generate_series(%(day)s::date - 2, %(day)s::date + 2, interval '15 minutes') t",
        {"day": day},
    )
    rows = table(await exported(database_url, starts="2023-10-01", ends="2024-05-01"))
    assert len({row["x_RequestId"] for row in rows}) == len(rows) == 4 * 96 + 1


async def test_only_what_was_committed_counts(database_url: str, booker: Booker) -> None:
    """A transaction that is open when the export begins stays out, even when it commits before it is read."""
    booker.org()
    booker.charge("before")
    with psycopg.connect(database_url) as other:
        Booker(other.execute).charge("open")
        async with charges_of(database_url) as charges:
            snapshot = await charges.snapshot()
        other.commit()
    booker.charge("after")
    seen = [row["x_RequestId"] for row in table(await exported(database_url, snapshot=snapshot))]
    assert seen == ["before"]
    assert len(table(await exported(database_url))) == 3


async def test_what_was_restored_from_another_server_counts(database_url: str, booker: Booker, execute: Any) -> None:
    """Its xids are higher than any of this server."""
    booker.org()
    booker.charge("restored")
    execute("set session_replication_role = replica")
    execute("update sark.cost_tracking set xid = 9e15")
    assert table(await exported(database_url)) == []
    execute("update sark.fold_mark set recorded_from = '2026-11-20Z'")
    assert len(table(await exported(database_url))) == 1


async def test_accounts_narrow_it_down(database_url: str, booker: Booker) -> None:
    """To what was charged below all of those named."""
    booker.every_kind()
    ada = table(await exported(database_url, within=("acme/principal/ada", "acme/team/ml")))
    assert {row["x_PrincipalId"] for row in ada} == {"ada"}
    assert len(table(await exported(database_url, within=("acme/team/deep",)))) == 1


async def test_a_database_that_takes_no_writes_is_enough(database_url: str, booker: Booker, execute: Any) -> None:
    """Such as a standby, or a server whose disk is full."""
    booker.every_kind()
    name = execute("select current_database()")[0][0]
    execute(
        psycopg.sql.SQL("alter database {} set default_transaction_read_only = on").format(psycopg.sql.Identifier(name))
    )
    assert len(table(await exported(database_url))) == 16


async def test_orgs_follow_each_other(database_url: str, booker: Booker) -> None:
    """Each with its own months; one that is not there is refused; one without charges is a header."""
    booker.org("beta", timezone="Asia/Tokyo")
    booker.org("acme")
    booker.charge("a")
    booker.charge("b", org="beta", time="2026-10-31T15:00:00Z")
    assert [row["BillingAccountId"] for row in table(await exported(database_url))] == ["acme", "beta"]
    assert (await exported(database_url, org="acme", starts="2026-11-20")).count(b"\n") == 1
    with pytest.raises(UnknownAccountError):
        await exported(database_url, org="nobody")


async def test_what_is_not_kept_is_not_exported(database_url: str, booker: Booker, execute: Any) -> None:
    """A period that begins before what is kept is refused, since its export would be a part that looks whole."""
    booker.every_kind()
    execute("update sark.storage set charges_kept_from = '2026-11-05Z'")
    with pytest.raises(InvalidInputError, match="not kept"):
        await exported(database_url)
    assert table(await exported(database_url, starts="2026-11-05"))


async def test_a_mixed_period_is_checked_too(database_url: str, booker: Booker) -> None:
    """A day and an instant can be compared when the zone is known."""
    booker.org("acme", timezone="Asia/Tokyo")
    with pytest.raises(InvalidInputError, match="zero length"):
        await exported(database_url, starts="2026-11-02", ends="2026-11-01T15:00:00Z")


async def test_charges_that_vanish_break_the_export(database_url: str, booker: Booker, execute: Any) -> None:
    """What was counted has to be read: a partition that is dropped meanwhile is noticed."""
    booker.every_kind()
    execute("set session_replication_role = replica")
    async with charges_of(database_url) as charges:
        export = await Export.of(charges, request_of(org="acme", starts="2026-11-01", ends=None, timezone=None))
        execute("delete from sark.cost_tracking where request_id = 'fee'")
        with pytest.raises(ExportError, match="were counted"):
            async for _ in export.charges.blocks(export.days[0], export.snapshot, export.request):
                pass
