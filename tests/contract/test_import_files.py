"""`sark-opa cost import`: what files may say, what is refused and how it is told, and what is booked."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures.imports import csv_of, row, sark, verified

SPENT = (
    "select account, day_spent, month_spent, (select coalesce(sum(p.spent), 0) from sark.period_history p"
    " where p.account = c.account and p.period = 'day')::bigint from sark.counters c order by account"
)
CHARGES = "select count(*), sum(actual_nanousd)::bigint from sark.cost_tracking"


def test_charges_count_in_the_windows_and_summaries_of_their_time(database_url, tmp_path, execute):
    """At every level: an old one in a window that is made for it, one of now in the running one. No limit refuses."""
    file = tmp_path / "old.csv"
    tags = json.dumps({"project": "x"})
    file.write_bytes(csv_of([row(request_id="a", tags=tags, input_tokens=3), row(0, request_id="b"), row(100)]))
    done = sark(database_url, "import", file, "--create-accounts", "--json")
    assert done.returncode == 0, done.stderr
    assert done.told["charges"] == 3
    assert done.told["actual_usd"] == 21e-9
    assert execute(SPENT) == [
        (account, 7, 7, 14) for account in ("acme", "acme/principal/ada", "acme/team/ml")
    ]  # fmt: skip
    assert execute("select count(*), sum(actual_nanousd)::bigint from sark.daily_costs where dimension = 'org'") == [
        (3, 21)
    ]
    assert execute("select key, actual_nanousd, input_tokens from sark.daily_costs where dimension = 'tag'") == [
        ("project=x", 7, 3)
    ]
    ((action, subject, details),) = execute("select action, subject, details from sark.audit_events")
    assert (action, subject, details["charges"], details["files"]) == ("costs.import", "acme", 3, [str(file)])
    assert execute("select distinct metadata ->> 'import' from sark.cost_tracking") == [(done.told["import_id"],)]
    verified(database_url)


def test_the_same_file_twice_changes_nothing(database_url, tmp_path, execute):
    """With request_ids and without, in another format, too; other figures under a known request_id are refused."""
    rows = [row(request_id="a"), row(), row()]
    (tmp_path / "one.csv").write_bytes(csv_of(rows))
    (tmp_path / "two.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "other.csv").write_bytes(csv_of([row(request_id="a", actual_usd="1")]))
    assert sark(database_url, "import", tmp_path / "one.csv", "--create-accounts").returncode == 0
    before = execute(SPENT)
    for name in ("one.csv", "two.jsonl"):
        again = sark(database_url, "import", tmp_path / name, "--json")
        assert (again.told["charges"], again.told["known"]) == (0, 3), again
    assert execute(SPENT) == before
    refused = sark(database_url, "import", tmp_path / "other.csv")
    assert "other.csv: line 2: request_id was charged with other figures" in refused.stderr
    assert execute(CHARGES) == [(3, 21)]
    verified(database_url)


BAD = [
    ({"org": "globex"}, "org globex is not registered"),
    ({"actual_usd": "-1"}, "actual_usd is no amount"),
    ({"usage": '{"prompt_tokens": 1, "completion_tokens": 1, "x": "\\u0000"}'}, "usage has a NUL"),
    ({"entry": "2", "entry_kind": "reversal"}, "entry_kind is a reversal"),
    ({"request_id": "good"}, "request_id is on another row too"),
]


@pytest.fixture
def acme(database_url, tmp_path):
    """The org, with a charge."""
    (tmp_path / "first.csv").write_bytes(csv_of([row(request_id="first")]))
    assert sark(database_url, "import", tmp_path / "first.csv", "--create-accounts").returncode == 0


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message for _, message in BAD])
def test_a_bad_row_refuses_all_and_is_told_by_file_line_and_column(database_url, tmp_path, execute, changes, message):
    """Or is set aside with its reason, and the others are booked."""
    file, rejects = tmp_path / "bad.csv", tmp_path / "rejects.jsonl"
    file.write_bytes(csv_of([row(request_id="good"), row(request_id="bad") | changes]))
    done = sark(database_url, "import", file)
    assert done.returncode == 1
    assert f"bad.csv: line 3: {message}" in done.stderr
    assert execute(CHARGES) == [(1, 7)]
    done = sark(database_url, "import", file, "--reject-file", rejects)
    assert (done.returncode, execute(CHARGES)) == (1, [(2, 14)])
    (told,) = map(json.loads, rejects.read_text().splitlines())
    assert f"{told['column']} {told['error']}".startswith(message)
    assert (told["file"], told["line"]) == (str(file), 3)
    verified(database_url)


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "has no header"),
        ("a.csv", csv_of([row()])[:-20].replace(b"actual_usd", b"cost"), "there is no column actual_usd"),
        ("a.csv", b"org,org\n", "the column org is there twice"),
        ("a.csv", csv_of([row()]) + b"too,few\n", "line 3: row has 2 values"),
        ("a.csv", csv_of([row(model="\u00e9")]).decode().encode("latin-1"), "is not UTF-8"),
        ("a.csv", csv_of([row()]) + b'"never ends', "unexpected end of data"),
        ("a.csv", csv_of([row()]).splitlines()[0], "no rows"),
        ("a.csv.gz", b"no gzip", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(csv_of([row()] * 500))[:-20], "ended before"),
        ("a.jsonl", b"{\n", "line 1: row is no JSON"),
        ("a.jsonl", b"[]\n", "line 1: row is no JSON object"),
        ("a.jsonl", b"\n{}\n", "line 2: actual_usd is missing"),
        ("a.jsonl", json.dumps(row(principal_id=7)).encode(), "principal_id is no text"),
        ("a.jsonl", json.dumps(row(tags=[1])).encode(), "tags is no JSON object"),
        ("a.parquet", b"none", "a.parquet"),
        ("a.what", b"", "its name does not say what it is"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(database_url, tmp_path, name, content, message):
    """By its name, and the line where there is one."""
    (tmp_path / name).write_bytes(content)
    done = sark(database_url, "import", tmp_path / name)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr


def test_every_format_is_read(database_url, tmp_path, execute):
    """The same row: CSV, JSON lines, both with gzip, Parquet, and standard input."""
    each = row(request_id="r", actual_usd=Decimal("0.000000007"), tags={"a": "b"})
    text = row(request_id="r", tags='{"a": "b"}')
    lines = json.dumps(each, default=float).replace("7e-09", "0.000000007").encode()
    files = {
        "a.csv": csv_of([text]),
        "a.csv.gz": gzip.compress(csv_of([text])),
        "a.jsonl": lines,
        "a.ndjson.gz": gzip.compress(lines),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    pq.write_table(pa.Table.from_pylist([each]), tmp_path / "a.parquet")
    for name in (*files, "a.parquet"):
        done = sark(database_url, "import", tmp_path / name, "--create-accounts", "--json")
        assert done.told["charges"] + done.told["known"] == 1, done
    done = sark(database_url, "import", "-", "--format", "csv", "--json", stdin=csv_of([text]))
    assert done.told["known"] == 1
    assert execute(CHARGES) == [(1, 7)]


def test_a_binary_float_in_parquet_is_refused(database_url, tmp_path):
    """It is not what was billed."""
    pq.write_table(pa.Table.from_pylist([row(actual_usd=0.1)]), tmp_path / "a.parquet")
    assert "actual_usd is a binary float" in sark(database_url, "import", tmp_path / "a.parquet").stderr


def test_columns_of_other_names_and_constants(database_url, tmp_path, execute):
    """--map and --set; a name of ours that is none is refused."""
    rows = [{"when": row()["time"], "who": "bob", "cost": "0.5", "model": "m"}]
    (tmp_path / "a.csv").write_bytes(csv_of(rows))
    options = {"--map": ("when=time", "who=principal_id", "cost=actual_usd"),
               "--set": ("org=acme", "resource_id=openai", "capability_id=chat")}  # fmt: skip
    given = [word for option, values in options.items() for value in values for word in (option, value)]
    done = sark(database_url, "import", tmp_path / "a.csv", "--create-accounts", *given)
    assert done.returncode == 0, done.stderr
    assert execute("select principal_id, resource_id, model, actual_nanousd from sark.cost_tracking") == [
        ("bob", "openai", "m", 500_000_000)
    ]
    assert "there is no column price" in sark(database_url, "import", tmp_path / "a.csv", "--map", "cost=price").stderr


def test_a_dry_run_books_nothing(database_url, tmp_path, execute):
    """Nor does it register anybody."""
    (tmp_path / "a.csv").write_bytes(csv_of([row(), row(1)]))
    done = sark(database_url, "import", tmp_path / "a.csv", "--create-accounts", "--dry-run")
    assert "2 charges of 2 rows would be booked, 0.000000014 USD" in done.stdout
    assert execute("select (select count(*) from sark.accounts), (select count(*) from sark.audit_events)") == [(0, 0)]


@pytest.mark.usefixtures("acme")
def test_who_must_not_be_written_here_is_refused(database_url, tmp_path, execute):
    """Principals of an org that denies unknown ones, orgs that move or live elsewhere, charges that are not kept."""
    file = tmp_path / "a.csv"
    file.write_bytes(csv_of([row(principal_id="eve")]))
    execute("update sark.accounts set unknown_principals = 'deny' where account = 'acme'")
    assert (
        "line 2: principal_id eve is not registered" in sark(database_url, "import", file, "--create-accounts").stderr
    )
    file.write_bytes(csv_of([row()]))
    cells = tmp_path / "cells.yaml"
    cells.write_text("cells:\n  acme: postgresql://elsewhere/sark\n")
    assert "lives in another database" in sark(database_url, "import", file, "--cells-file", cells).stderr
    execute(
        "insert into sark.org_moves (org, move_id, direction, state, peer) values ('acme', 'm', 'out', 'copying', 'x')"
    )
    assert "line 2: org acme is being moved" in sark(database_url, "import", file).stderr
    execute("delete from sark.org_moves")
    execute("update sark.storage set charges_kept_from = clock_timestamp() - interval '7 days'")
    assert "line 2: time is older than the charges that are kept" in sark(database_url, "import", file).stderr
    assert execute(CHARGES) == [(1, 7)]
