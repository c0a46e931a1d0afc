"""`GET /v1/costs/…`: what was charged, over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from fixtures.scoped import tokens_for
from fixtures.stack import LiveStack, chat, soon


def charge(stack: LiveStack, org: str, number: int, usd: str, **changes: Any) -> None:
    """A cost without a hold."""
    body = {
        "request_id": f"r{number}", "principal": {"id": "ada", "org": org}, "resource": {"id": "openai"},
        "capability": {"id": "chat"}, "amount_usd": Decimal(usd),
    }  # fmt: skip
    raw = json.dumps(body | changes, default=float).encode()
    answer = stack.api("POST", "/v1/charges", raw=raw)
    assert answer.status_code == 200, answer.text


def asked(stack: LiveStack, path: str, query: Any = (), token: str | None = None) -> Any:
    """The answer, figures exact."""
    answer = stack.api("GET", f"/v1/costs/{path}", params=query, token=token)
    return json.loads(answer.text, parse_float=Decimal)


@pytest.fixture(scope="module")
def spent(stack: LiveStack) -> str:
    """An org in Tokyo with two teams: $7 in all."""
    org = stack.new_org(timezone="Asia/Tokyo")
    for team in ("ml", "web"):
        stack.put_account(f"{org}/team/{team}")
    charge(stack, org, 1, "1", principal={"id": "ada", "org": org, "team": "ml"}, tags={"env": "prod"}, model="gpt-4o")
    charge(stack, org, 2, "2", principal={"id": "bob", "org": org, "team": "web"}, tags={"env": "dev"})
    charge(stack, org, 3, "0.25", principal={"id": "cy", "org": org}, capability={"id": "embed"})
    charge(stack, org, 4, "3.75", principal={"id": "ada", "org": org}, resource={"id": "mcp"})
    return org


def rows_of(answer: Any) -> list[tuple[Any, ...]]:
    """Keys and cost of each group."""
    return [(*row["key"].values(), row["actual_usd"]) for row in answer["rows"]]


def test_a_summary_by_each_word(stack: LiveStack, spent: str) -> None:
    """The dearest first; what has none of it is null; rows sum up to the totals, shares to one."""
    expected = {
        "principal": [("ada", Decimal("4.75")), ("bob", 2), ("cy", Decimal("0.25"))],
        "team": [("ml", Decimal("4.75")), ("web", 2), (None, Decimal("0.25"))],
        "org": [(spent, 7)],
        "resource": [("mcp", Decimal("3.75")), ("openai", Decimal("3.25"))],
        "capability": [("chat", Decimal("6.75")), ("embed", Decimal("0.25"))],
        "model": [(None, 6), ("gpt-4o", 1)],
        "provider": [(None, 7)],
        "tag:env": [(None, 4), ("dev", 2), ("prod", 1)],
    }
    for word, rows in expected.items():
        answer = asked(stack, "summary", {"org": spent, "group_by": word})
        assert rows_of(answer) == rows, word
        assert (answer["totals"]["actual_usd"], answer["totals"]["charges"], answer["groups"]) == (7, 4, len(rows))
        assert abs(sum(row["share"] for row in answer["rows"]) - 1) < Decimal("0.00001")
        assert (answer["group_by"], answer["period"]["timezone"]) == ([word], "Asia/Tokyo")


def test_by_time_and_in_another_zone(stack: LiveStack, spent: str) -> None:
    """Hours, days and months are named in the zone of the report."""
    now = datetime.now(UTC)
    for unit, zone, pattern in (
        ("month", None, "%Y-%m"), ("day", None, "%Y-%m-%d"), ("hour", None, "%Y-%m-%dT%H:00:00+09:00"),
        ("hour", "Asia/Kolkata", "%Y-%m-%dT%H:00:00+05:30"),
    ):  # fmt: skip
        query = {"org": spent, "group_by": unit} | ({"timezone": zone} if zone else {})
        answer = asked(stack, "summary", query)
        local = now + (timedelta(hours=5, minutes=30) if zone else timedelta(hours=9))
        names = {at.strftime(pattern) for at in (local, local - timedelta(minutes=5))}
        assert {row["key"][unit] for row in answer["rows"]} <= names
        assert answer["totals"]["actual_usd"] == 7


def test_several_words_and_filters(stack: LiveStack, spent: str) -> None:
    """Filters of one kind are alternatives, of several kinds all count; an empty one is what has none."""
    query: list[tuple[str, str]] = [("org", spent), ("group_by", "principal,capability"), ("group_by", "day")]
    answer = asked(stack, "summary", query)
    assert [next(iter(row["key"])) for row in answer["rows"]] == ["day"] * 3
    assert [row["key"]["principal"] for row in answer["rows"]] == ["ada", "bob", "cy"]
    for filters, total in (
        ([("principal", "ada"), ("principal", "bob")], Decimal("6.75")),
        ([("principal", "ada"), ("resource", "openai")], 1),
        ([("team", "")], Decimal("0.25")),
        ([("team", "ml"), ("team", "web")], Decimal("6.75")),
        ([("tag", "env=prod"), ("tag", "env=dev")], 3),
        ([("model", "gpt-4o")], 1),
        ([("account", f"{spent}/team/web")], 2),
        ([("principal", "nobody")], 0),
    ):
        answer = asked(stack, "summary", [("org", spent), *filters])
        assert answer["totals"]["actual_usd"] == total, filters


def test_pages_hold_everything_once(stack: LiveStack, spent: str) -> None:
    """However small they are; totals are over all of them on each."""
    for order in ("actual_usd", "key", "charges"):
        found, after = [], None
        while True:
            query = {"org": spent, "group_by": "principal,resource", "limit": 1, "order": order}
            answer = asked(stack, "summary", query | ({"after": after} if after else {}))
            assert (answer["groups"], answer["totals"]["actual_usd"]) == (4, 7)
            found += rows_of(answer)
            after = answer["next_after"]
            if after is None:
                break
        whole = asked(stack, "summary", {"org": spent, "group_by": "principal,resource", "order": order})
        assert found == rows_of(whole)
        assert whole["next_after"] is None


@pytest.mark.parametrize(
    ("query", "path", "word"),
    [
        ({"group_by": "colour"}, "group_by", "none of"),
        ({"group_by": "tag:"}, "group_by", "none of"),
        ({"group_by": "tag:a=b"}, "group_by", "none of"),
        ({"group_by": "day,month"}, "group_by", "not several"),
        ({"group_by": "team,team"}, "group_by", "twice"),
        ({"group_by": "principal,team,resource,capability,model"}, "group_by", "at most 4"),
        ({"group_by": "principal; drop table sark.holds"}, "group_by", "none of"),
        ({"timezone": "Mars/Olympus"}, "timezone", "no IANA time zone"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from", "after its end"),
        ({"from": "2026-11-01", "to": "2026-11-01"}, "to", "zero length"),
        ({"from": "2026-11-01T00:00:00Z", "to": "2026-10-01"}, "from", "after its end"),
        ({"from": "9999-01-01"}, "from", "after its end"),
        ({"from": "yesterday"}, "from", "neither a day"),
        ({"to": "2026-11-01T00:00"}, "to", "neither a day"),
        ({"tag": "env"}, "tag", "not name=value"),
        ({"tag": "=prod"}, "tag", "not name=value"),
        ({"principal": "a\x00b"}, "principal", "null character"),
        ({"limit": "1001"}, "limit", "1000"),
        ({"limit": "0"}, "limit", "1"),
        ({"order": "colour"}, "order", "key"),
        ({"after": "xyz"}, "after", "next_after"),
        ({"account": "other/team/ml"}, "account", "not in the org"),
    ],
)
def test_what_cannot_be_is_422_with_its_path(
    stack: LiveStack, spent: str, query: dict[str, str], path: str, word: str
) -> None:
    """Before any report is made."""
    answer = stack.api("GET", "/v1/costs/summary", params={"org": spent} | query)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_input"), problem
    assert path in {fault["path"] for fault in problem["errors"]}, problem
    assert word in problem["detail"]


def test_a_cursor_is_for_its_report_alone(stack: LiveStack, spent: str) -> None:
    """With another order or other groups it is refused."""
    first = asked(stack, "summary", {"org": spent, "group_by": "principal", "limit": 1})
    for changed in ({"order": "charges"}, {"group_by": "team"}):
        query = {"org": spent, "group_by": "principal", "limit": 1, "after": first["next_after"]} | changed
        assert asked(stack, "summary", query)["errors"][0]["path"] == "after"


def test_an_org_nobody_knows(stack: LiveStack) -> None:
    """Is not an org that spent nothing."""
    assert asked(stack, "summary", {"org": "nobody-knows"})["code"] == "unknown_account"


def test_a_scoped_token_sees_its_part(stack: LiveStack, spent: str) -> None:
    """A report token of a team: that team's money, whatever it asks for; of an org: that org's."""
    other = stack.new_org()
    charge(stack, other, 1, "100")
    team, of_org, lead = tokens_for(
        stack, ("report", f"{spent}/team/ml"), ("report", spent), ("budget", f"{spent}/team/ml")
    )
    for token in (team, lead):
        for query in ({}, {"org": spent}, {"group_by": "team"}, {"account": f"{spent}/team/ml"}, {"account": spent}):
            assert asked(stack, "summary", query, token)["totals"]["actual_usd"] == Decimal("4.75"), query
        assert asked(stack, "summary", {"account": f"{spent}/team/web"}, token)["totals"]["actual_usd"] == 0
        assert asked(stack, "trend", {}, token)["totals"]["actual_usd"] == Decimal("4.75")
        for path in ("accuracy", "unpriced"):
            assert asked(stack, path, {}, token)["code"] == "forbidden"
        assert asked(stack, "unsettled", {}, token)["rows"] == []
    assert asked(stack, "summary", {}, of_org)["totals"]["actual_usd"] == 7
    for token in (team, of_org):
        for path in ("summary", "trend", "accuracy", "unpriced", "unsettled"):
            assert asked(stack, path, {"org": other}, token)["code"] == "forbidden", path
    ends = datetime.now(UTC).date() + timedelta(days=2)  # in Tokyo it may be tomorrow
    rows = asked(stack, "summary", {"group_by": "org", "limit": 1000, "to": ends.isoformat()})["rows"]
    assert {spent: 7, other: 100}.items() <= {row["key"]["org"]: row["actual_usd"] for row in rows}.items()
    assert stack.api("GET", "/v1/costs/summary", token=stack.settle_token).status_code == 403


def test_a_trend_compares_and_forecasts(stack: LiveStack, spent: str) -> None:
    """Today's spending beside nothing before it; by month, too."""
    answer = asked(stack, "trend", {"org": spent})
    assert len(answer["points"]) == 30
    assert (answer["points"][-1]["actual_usd"], answer["points"][-1]["complete"]) == (7, False)
    assert (answer["points"][-2]["actual_usd"], answer["points"][-1]["change_usd"]) == (0, 7)
    assert (answer["points"][-1]["change_ratio"], answer["change_ratio"], answer["forecast"]) == (None, None, None)
    assert (answer["totals"]["actual_usd"], answer["previous_totals"]["actual_usd"], answer["change_usd"]) == (7, 0, 7)
    by_month = asked(stack, "trend", {"org": spent, "by": "month"})
    assert [len(by_month["points"]), by_month["points"][-1]["actual_usd"]] == [12, 7]
    for query, path in (
        ({"from": "2026-11-02", "by": "month"}, "from"), ({"from": "2020-01-01"}, "from"), ({"by": "hour"}, "by"),
        ({"from": "2026-11-02T01:00:00Z"}, "from"),
    ):  # fmt: skip
        assert asked(stack, "trend", {"org": spent} | query)["errors"][0]["path"] == path


def test_how_good_estimates_were(stack: LiveStack) -> None:
    """A call held at its estimate and settled with its usage; by model."""
    org = stack.new_org()
    decision = stack.decide(chat("a", org=org))
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    assert stack.api("POST", decision["obligations"][0]["href"], {"usage": usage}).status_code == 200
    answer = asked(stack, "accuracy", {"org": org})
    assert (answer["totals"]["charges"], sum(step["charges"] for step in answer["histogram"])) == (1, 1)
    (model,) = answer["models"]
    assert (model["provider"], model["model"], model["charges"]) == ("openai", "gpt-4o", 1)
    assert asked(stack, "accuracy", {"org": org, "model": "other"})["totals"]["p50"] is None
    assert asked(stack, "accuracy")["errors"][0]["path"] == "org"
    assert asked(stack, "accuracy", {"org": org, "timezone": "Asia/Tokyo"})["errors"][0]["path"] == "from"


def test_holds_nobody_settled(stack: LiveStack) -> None:
    """Open ones from an age on; expired ones charged or released; with what is at stake, in pages."""
    org = stack.new_org()
    stack.put_account(f"{org}/team/soft", enforcement="soft", on_expiry="release")
    for number, (usd, ttl_s, team) in enumerate(((1, 600, None), (2, 1, None), (4, 1, "soft"))):
        body = {
            "request_id": f"h{number}", "amount_usd": usd, "ttl_s": ttl_s,
            "principal": {"id": f"p{number}", "org": org, "team": team},
        }  # fmt: skip
        assert stack.api("POST", "/v1/holds", body).status_code == 201

    def states() -> Any:
        answer = asked(stack, "unsettled", {"org": org, "older_than_s": 0})
        return {state: (sums["holds"], sums["at_stake_usd"]) for state, sums in answer["totals"].items()}

    soon(lambda: states() == {"open": (1, 1), "charged": (1, 2), "released": (1, 4)}, 15)
    assert asked(stack, "unsettled", {"org": org})["totals"]["open"]["holds"] == 0
    found, after = [], None
    for _ in range(3):
        query = {"org": org, "older_than_s": 0, "limit": 1} | ({"after": after} if after else {})
        page = asked(stack, "unsettled", query)
        found += [(row["request_id"], row["state"], row["at_stake_usd"], row["booked_usd"]) for row in page["rows"]]
        after = page["next_after"]
    assert after is None
    assert found == [("h2", "released", 4, 0), ("h1", "charged", 2, 2), ("h0", "open", 1, 0)]
    row = asked(stack, "unsettled", {"org": org, "account": f"{org}/principal/p0", "older_than_s": 0})["rows"][0]
    assert stack.api("GET", f"/v1/holds/{row['id']}").json()["state"] == "held"
    assert asked(stack, "unsettled", {"org": org, "after": "xyz"})["errors"][0]["path"] == "after"


def test_calls_without_a_price_are_counted(stack: LiveStack) -> None:
    """What was asked about a model nobody knows, by model, whoever denied it."""
    org = stack.new_org()
    for number in range(3):
        model = "no-such-model" if number else "none\x00such"
        stack.decide(chat(f"u{number}", org=org, arguments={"model": model}))
    soon(lambda: asked(stack, "unpriced", {"org": org})["calls"] == 3, 15)
    rows = asked(stack, "unpriced", {"org": org})["rows"]
    assert [(row["model"], row["calls"]) for row in rows] == [("no-such-model", 2), ("nonesuch", 1)]
    assert {row["status"] for row in rows} <= {"unpriced", "default"}


def test_charges_that_are_gone_are_told(stack: LiveStack, spent: str) -> None:
    """What needs them is refused with what is still there; days of one dimension are answered as ever."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute("update sark.storage set charges_kept_from = now() - interval '3 days'")
        try:
            answer = asked(stack, "summary", {"org": spent, "group_by": "principal,model"})
            assert (answer["errors"][0]["path"], "no longer kept" in answer["detail"]) == ("from", True)
            assert asked(stack, "summary", {"org": spent, "group_by": "principal"})["totals"]["actual_usd"] == 7
            recent = {
                "org": spent,
                "group_by": "principal,model",
                "from": f"{datetime.now(UTC) - timedelta(1):%Y-%m-%d}",
            }
            assert asked(stack, "summary", recent)["totals"]["actual_usd"] == 7
        finally:
            connection.execute("update sark.storage set charges_kept_from = '-infinity'")
