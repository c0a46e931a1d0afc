"""Rows of files of charges: what each value may be, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from fixtures.imports import NOW, row

from sark_opa.errors import InvalidInputError
from sark_opa.reports.imports.columns import Names, pairs
from sark_opa.reports.imports.rows import Lines, Record
from sark_opa.reports.imports.values import FaultError

BAD = [
    ({"org": ""}, "org is missing"),
    ({"org": "no such\tname"}, "org has control characters"),
    ({"org": "-"}, "org is no name"),
    ({"principal_id": ""}, "principal_id is missing"),
    ({"model": "m" * 300}, "model is longer than 256"),
    ({"actual_usd": ""}, "actual_usd is missing"),
    ({"actual_usd": "-1"}, "actual_usd is no amount"),
    ({"actual_usd": "1e99"}, "actual_usd is not from 0"),
    ({"actual_usd": "1_0"}, "actual_usd is no amount"),
    ({"actual_usd": "NaN"}, "actual_usd is no amount"),
    ({"time": "2026-01-01T00:00:00"}, "time says no time zone"),
    ({"time": "yesterday"}, "time is no time"),
    ({"time": "1970-01-01T00:00:00Z"}, "time is before 2000"),
    ({"time": (NOW + timedelta(days=1)).isoformat()}, "time lies in the future"),
    ({"input_tokens": "1.5"}, "input_tokens is no count"),
    ({"tokens": "[]"}, "tokens is no JSON object"),
    ({"tokens": '{"input_tokens": 1}', "input_tokens": "2"}, "input_tokens is 2, and `tokens` says 1"),
    ({"usage": "{"}, "usage is no JSON"),
    ({"usage": '{"what": 1}'}, "usage cannot be read"),
    ({"tags": '{"a=b": "c"}'}, "tags 'a=b' is no name of a tag"),
    ({"tags": '{"a": 1}'}, "tags 'a' is no text"),
    ({"usage": '{"prompt_tokens": 1, "completion_tokens": 1, "x": "\\u0000"}'}, "usage has a NUL"),
    ({"estimated": "perhaps"}, "estimated is neither true nor false"),
    ({"entry_kind": "refund"}, "entry_kind is none of"),
]


def fields(number=1, **changes):
    """A row as COPY gets it: what, and its request_id and digest."""
    line = Lines(datetime.now(UTC)).line(0, Record(number, number + 1, row(**changes)))
    found = line.decode().rstrip("\n").split("\t")
    return found[6:14], found[3], found[14]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message for _, message in BAD])
def test_a_value_that_cannot_be_is_told_by_its_column(changes, message):
    """In words that say what is wrong with it."""
    with pytest.raises(FaultError) as raised:
        fields(**changes)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("amount", "nanousd"),
    [
        ("1", 10**9), ("0.000000001", 1), ("0.0000000001", 1), ("12345678.123456789", 12345678123456789),
        ("1e-3", 10**6), ("0", 0), (Decimal("0.5"), 5 * 10**8), (2, 2 * 10**9), ("1000000000", 10**18),
        ("0.3000000000", 3 * 10**8),
    ],
)  # fmt: skip
def test_money_is_exact_and_rounded_up(amount, nanousd):
    """To the next nano-dollar, as every cost."""
    assert fields(actual_usd=amount)[0][4] == str(nanousd)


def test_tokens_come_from_columns_or_from_the_usage():
    """Those that are given count; a usage is read as a settlement's is."""
    assert fields(input_tokens="3", output_tokens=4)[0][1] == '{"input_tokens":3,"output_tokens":4}'
    usage = {"prompt_tokens": 5, "completion_tokens": 6}
    assert fields(usage=usage)[0][1] == '{"input_tokens":5,"output_tokens":6}'
    assert fields(usage=usage, tokens={"input_tokens": 1})[0][1] == '{"input_tokens":1}'


def test_the_same_row_has_the_same_id_and_another_place_another():
    """However it is written; and other figures have another digest."""
    at = NOW - timedelta(days=1)
    same = [
        {"time": at.isoformat()},
        {"time": at.astimezone(timezone(timedelta(hours=5))).isoformat(), "actual_usd": Decimal("7e-9"), "tags": "{}"},
        {"time": at, "actual_usd": "7e-9", "team": "another", "estimated": "FALSE", "estimated_usd": "0.0"},
    ]
    ids = {fields(**changes)[1:] for changes in same}
    assert len(ids) == 1
    assert fields(2, **same[0])[1] != fields(1, **same[0])[1]
    assert fields(**same[0], model="other")[2] not in {digest for _, digest in ids}


def test_backslashes_reach_the_ledger_as_they_are():
    """COPY would read them as its own."""
    assert fields(request_id="a\\tb")[1] == "a\\\\tb"


def test_a_column_is_named_once():
    """Of two columns that would be the same of ours, --map has to choose."""
    with pytest.raises(InvalidInputError, match="given twice"):
        Names({"tenant": "org", "client": "org"}, {})
    names = Names(pairs(["tenant=org"], "map"), pairs(["model=m=1"], "set"))
    assert names.among(["tenant", "org", "model", "other"]) == {"tenant": "org"}
    assert names.constants == {"model": "m=1"}
    for text in ("tenant", "=org", "tenant="):
        with pytest.raises(InvalidInputError, match="equals sign"):
            pairs([text], "map")
