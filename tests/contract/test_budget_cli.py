"""`sark-opa budget …` against a running service, and straight in its database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import Result
from fixtures.stack import LiveStack, chat
from typer.testing import CliRunner

from sark_opa.cli import budget_watch
from sark_opa.cli.budget_output import Standings
from sark_opa.cli.commands import app
from sark_opa.client.wire import RefusedError, UnreachableError
from sark_opa.errors import ConfigurationError, InvalidInputError
from sark_opa.local.stack import free_port

Run = Callable[..., Result]
FILE = """
version: 1
orgs:
  {org}:
    daily_limit_usd: 100
    timezone: Asia/Tokyo
    teams:
      ml:
        daily_limit_usd: {limit}
        principals:
          ada: {{daily_limit_usd: 5}}
"""


@pytest.fixture(params=["service", "database"])
def run(request: pytest.FixtureRequest, stack: LiveStack) -> Run:
    """Run a command of the group, one way and the other; an error raised on purpose is raised."""
    where = {"service": ["--url", stack.service_url], "database": ["--database-url", stack.database_url]}

    def invoke(*arguments: str, given: str | None = None) -> Result:
        environment = {"SARK_TOKEN": stack.admin_token, "COLUMNS": "160"}
        command = ["budget", *arguments, *where[request.param]]
        result = CliRunner().invoke(app, command, input=given, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def test_a_file_is_planned_applied_and_exported(run: Run, stack: LiveStack, tmp_path: Path) -> None:
    """The plan's exit status says whether anything would change; an export of what was applied changes nothing."""
    org = stack.new_org()
    path = tmp_path / "budgets.yaml"
    path.write_text(FILE.format(org=org, limit=50))
    apply = ("apply", "--file", str(path))
    planned = run(*apply, "--plan", "--detailed-exitcode")
    assert planned.exit_code == 2
    assert f"~ {org}\n    daily_limit_usd: none -> 100\n    timezone: UTC -> Asia/Tokyo\n" in planned.output
    assert f"+ {org}/team/ml\n    parent: {org}\n    daily_limit_usd: 50\n" in planned.output
    assert planned.output.endswith("plan: 2 to create, 1 to change, 0 as they are to be\n")
    with pytest.raises(ConfigurationError, match="nobody is there to be asked"):
        run(*apply)
    assert run(*apply, "--yes").output.endswith("applied: 2 created, 1 changed, 0 as they are to be\n")
    assert run(*apply, "--plan", "--detailed-exitcode").exit_code == 0
    exported = run("export", org)
    assert "ada:\n            daily_limit_usd: 5\n" in exported.output
    again = run("apply", "-f", "-", "--plan", "--detailed-exitcode", "--prune", given=exported.output)
    assert (again.exit_code, again.output) == (0, "plan: 3 as they are to be\n")
    made = json.loads(run(*apply, "--plan", "--json").output)
    assert (made["applied"], made["changes"], made["unchanged"]) == (False, [], 3)
    author = stack.api("GET", f"/v1/audit?subject={org}/team/ml").json()["events"][0]["actor"]
    assert author == "local-admin" or author.startswith("cli:")


def test_a_folder_is_one_tree_and_prune_resets_the_rest(run: Run, stack: LiveStack, tmp_path: Path) -> None:
    """A file for each team; what none states is listed, or reset when that is asked for."""
    org = stack.new_org()
    stack.put_account(f"{org}/team/old", daily_limit_usd=3)
    (tmp_path / "teams").mkdir()
    (tmp_path / "acme.yaml").write_text(f"version: 1\norgs: {{{org}: {{daily_limit_usd: 9}}}}\n")
    (tmp_path / "teams" / "ml.yml").write_text(
        f"version: 1\norgs: {{{org}: {{teams: {{ml: {{daily_limit_usd: 10}}}}}}}}\n"
    )
    planned = run("apply", "-f", str(tmp_path), "--plan").output
    assert f"1 with limits that no file states, left as they are:\n    {org}/team/old: 3 USD a day\n" in planned
    assert f"warning {org}/team/ml may spend 10 USD a day, and {org} above it only 9\n" in planned
    applied = run("apply", "-f", str(tmp_path), "--prune", "--yes").output
    assert f"- {org}/team/old (its limits are reset: no file states it)\n    daily_limit_usd: 3 -> none\n" in applied
    with pytest.raises(ConfigurationError, match=r"has no \.yaml"):
        run("apply", "-f", str(tmp_path / "teams" / ".."), "-f", str(_made(tmp_path / "empty")), "--plan")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        run("apply", "-f", str(tmp_path / "none.yaml"), "--plan")
    with pytest.raises(InvalidInputError, match=r"standard input:2: orgs\.x\.limit: there is no such key"):
        run("apply", "-f", "-", "--plan", given="version: 1\norgs: {x: {limit: 1}}\n")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_status_is_a_tree(run: Run, stack: LiveStack) -> None:
    """Each account below its parent, with what is left; as JSON, every window of it."""
    org = stack.new_org(daily_limit_usd=10)
    stack.put_account(f"{org}/team/ml", daily_limit_usd=4, monthly_limit_usd=1000)
    stack.put_account(f"{org}/principal/ada", parent=f"{org}/team/ml")
    body = {"request_id": "r", "principal": {"id": "ada", "org": org}, "amount_usd": 5}
    body |= {"resource": {"id": "x"}, "capability": {"id": "y"}}
    assert stack.api("POST", "/v1/charges", body, token=stack.settle_token).status_code == 200
    lines = [line.split() for line in run("status", org).output.splitlines()]
    assert [line[:7] for line in lines[1:]] == [
        [org, "day", "10.00", "5.00", "0.00", "5.00", "50.0"],
        ["team/ml", "day", "4.00", "5.00", "0.00", "-1.00", "125.0"],
        ["month", "1,000.00", "5.00", "0.00", "995.00", "0.5", "%"],
        ["principal/ada", "day", "none", "5.00", "0.00", *lines[4][5:7]],
    ]
    rows = json.loads(run("status", f"{org}/team/ml", f"{org}/principal/ada", "--json").output)["budgets"]
    assert [(row["account"], len(row["windows"])) for row in rows] == [
        (f"{org}/principal/ada", 2),
        (f"{org}/team/ml", 2),
    ]
    assert "there are more" in run("status", org, "--limit", "2").output


def test_a_raise_is_made_listed_and_cancelled(run: Run, stack: LiveStack) -> None:
    """It counts at once, with its author; cancelled, the limit is what it was; twice is once too often."""
    org = stack.new_org(daily_limit_usd=0)
    assert not stack.decide(chat("r1", org=org))["allow"]
    until = ("--until", "2099-01-01T00:00Z", "--reason", "launch")
    said = run("raise", org, "--daily", "+50", *until).output
    assert said.startswith(f"raised {org} by 50 USD a day until 2099-01-01T00:00:00Z, id ")
    assert stack.decide(chat("r2", org=org))["allow"]
    (made,) = json.loads(run("raises", org, "--json").output)["raises"]
    assert (made["daily_extra_usd"], made["reason"]) == (50, "launch")
    assert made["author"] == "local-admin" or made["author"].startswith("cli:")
    assert "50 USD a day" in run("raises", org).output
    assert run("cancel-raise", org, made["id"]).output.startswith(f"cancelled {made['id']} of {org}")
    assert not stack.decide(chat("r3", org=org))["allow"]
    assert json.loads(run("raises", org, "--json").output)["raises"] == []
    assert "cancelled" in run("raises", org, "--ended").output
    for arguments in (
        ("--daily", "-5", *until),
        ("--daily", "x", *until),
        ("--daily", "5", "--until", "2099-01-01", "--reason", "x"),
    ):
        with pytest.raises(InvalidInputError):
            run("raise", org, *arguments)
    with pytest.raises((InvalidInputError, RefusedError), match="over before it begins"):
        run("raise", org, "--daily", "5", "--until", "2020-01-01T00:00Z", "--reason", "x")
    with pytest.raises((InvalidInputError, RefusedError), match="no limit for the month"):
        run("raise", org, "--monthly", "5", *until)


def test_without_a_token_it_says_what_to_do(stack: LiveStack) -> None:
    """And a token that is none, or an address where nobody listens, is told as such."""
    for arguments, environment, said in (
        ([], {"SARK_TOKEN": ""}, "set SARK_TOKEN"),
        (["--url", stack.service_url], {"SARK_TOKEN": "sark_wrong"}, "unauthenticated: "),
        (["--url", "http://127.0.0.1:9"], {"SARK_TOKEN": "x"}, "does not answer"),
    ):
        result = CliRunner().invoke(app, ["budget", "status", *arguments], env=environment)
        assert said in str(result.exception)


@contextmanager
def gateway(stack: LiveStack, port: int) -> Iterator[None]:
    """What stands before the service, and can be away."""

    class Forward(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = stack.api("GET", self.path)
            self.send_response(answer.status_code)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Forward) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


def test_watching_goes_on_when_the_service_comes_back(stack: LiveStack, tmp_path: Path) -> None:
    """While it is away that is said; Ctrl-C ends it with status 0 and without a trace."""
    org, port, out = stack.new_org(daily_limit_usd=1), free_port(), tmp_path / "out"
    command = [sys.executable, "-m", "sark_opa", "budget", "status", org, "--watch", "--json", "--interval", "0.2"]
    command += ["--url", f"http://127.0.0.1:{port}"]

    def told(word: str, since: int = 0) -> int:
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at:
            lines = out.read_text().splitlines()
            if any(word in line for line in lines[since:]):
                return len(lines)
            time.sleep(0.05)
        raise AssertionError(f"{word} was not told: {out.read_text()[-2000:]}")

    with out.open("wb") as output, ExitStack() as cleanup:
        with gateway(stack, port):
            watching = subprocess.Popen(
                command, env=os.environ | {"SARK_TOKEN": stack.admin_token}, stdout=output, stderr=output
            )
            cleanup.callback(watching.kill)
            told(f'"account":"{org}"')
        gone = told('"error":"no answer since ')
        with gateway(stack, port):
            told(f'"account":"{org}"', gone)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 0
    assert all(json.loads(line) for line in out.read_text().splitlines())


def test_watching_on_a_terminal_keeps_the_last_table(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """And says since when there has been no answer; what is refused ends it."""
    windows = [
        {
            "window": "day", "limit_usd": 10, "spent_usd": 2, "held_usd": 1, "remaining_usd": 7, "percent_used": 30.0,
            "resets_at": "2026-01-02T00:00:00Z",
        }
    ]  # fmt: skip
    seen = Standings("2026-01-01T20:30:00Z", [{"account": "acme", "parent": None, "windows": windows}], more=False)
    answers: list[Any] = [seen, UnreachableError("gone"), UnreachableError("gone"), seen, RefusedError(403, "x", "no")]

    def look() -> Standings:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(budget_watch.console, "_force_terminal", True)
    monkeypatch.setattr(budget_watch.console, "is_interactive", True)
    monkeypatch.setattr(budget_watch.console, "_width", 120)
    with pytest.raises(RefusedError):
        budget_watch.watch(look, interval_s=0.01, json=False)
    shown = capsys.readouterr().out
    assert "3h 30m" in shown
    assert "30.0 %" in shown
    assert shown.count("no answer since") == 2
    assert shown.rindex("as of 2026-01-01T20:30:00 UTC") > shown.rindex("no answer since")
