"""What breaks in production: the database, the service, OPA, a token. Nothing is allowed by it and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests
from fixtures.stack import LiveStack, assert_verified, chat, free_port, soon, up

from sark_opa import bundled
from sark_opa.client import SarkClient
from sark_opa.local.children import base_environment
from sark_opa.local.postgres import binaries
from sark_opa.opa import server
from sark_opa.opa.binary import find_or_fetch


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A stack with an embedded database of its own, to be broken."""
    if os.environ.get("SARK_TEST_DATABASE_URL"):
        os.environ.pop("SARK_DATABASE_URL", None)
    with up(tmp_path_factory.mktemp("fragile")) as running:
        yield running
    if (running.data / "postgres" / "postmaster.pid").exists():
        # The tests have restarted it themselves, so it is theirs to stop.
        _postgres(running, "-m", "immediate", "stop")


def _postgres(stack: LiveStack, *arguments: str) -> None:
    user = "pgserver" if os.geteuid() == 0 else None
    data = str(stack.data / "postgres")
    # No pipes: the server it starts would keep them open.
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([str(binaries("pg_ctl")), "-D", data, "-w", *arguments], check=True, user=user, timeout=60, **quiet)


def _start_postgres(stack: LiveStack, options: str) -> None:
    _postgres(stack, "-l", str(stack.data / "postgres" / "log"), "-o", options, "start")


def _postgres_options(stack: LiveStack) -> str:
    words = (stack.data / "postgres" / "postmaster.opts").read_text().split(maxsplit=1)[1]
    return words.replace('"-D" ', "").replace(f'"{stack.data}/postgres" ', "", 1).strip()


def _child(stack: LiveStack, word: str) -> psutil.Process:
    return next(
        child
        for child in psutil.Process(stack.process.pid).children(recursive=True)
        if word in " ".join(child.cmdline())
    )


def _until_ready(stack: LiveStack) -> None:
    for _ in range(300):
        try:
            if requests.get(stack.service_url + "/readyz", timeout=5).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise AssertionError("the service did not become ready")


def _codes(decision: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in decision["reasons"]]


def test_a_slow_database_denies_in_time_and_loses_nothing(fragile: LiveStack) -> None:
    """While somebody sits on the ledger's locks, the deadline denies; afterwards the same request holds once."""
    org = fragile.new_org()
    fragile.decide(chat("warm", org=org))
    with psycopg.connect(fragile.database_url) as blocker:
        blocker.execute("select 1 from sark.counters where org = %s for update", [org])
        started = time.monotonic()
        denied = fragile.decide(chat("slow", org=org))
        took_s = time.monotonic() - started
        blocker.execute("select pg_sleep(0.2)")
    assert (denied["allow"], _codes(denied), denied["facts"]["degraded"]) == (False, ["deadline_exceeded"], True)
    assert took_s < 5
    again = fragile.decide(chat("slow", org=org))
    assert again["allow"], again["reasons"]
    assert fragile.spent(org)["held"] == 2 * Decimal(str(again["hold"]["amount_usd"]))
    assert_verified(fragile)


def test_no_database_denies_and_recovers(fragile: LiveStack) -> None:
    """Down: denied with a code, not ready. Back: the same request is allowed, and what was held still is."""
    org = fragile.new_org()
    before = fragile.decide(chat("before", org=org))
    options = _postgres_options(fragile)
    _postgres(fragile, "-m", "immediate", "stop")
    try:
        denied = fragile.decide(chat("during", org=org))
        settle = fragile.api("POST", f"/v1/holds/{before['hold']['id']}/settle", {"amount_usd": 0.001})
        ready = requests.get(fragile.service_url + "/readyz", timeout=10)
    finally:
        _start_postgres(fragile, options)
    assert (denied["allow"], denied["budget"]["status"]) == (False, "unavailable")
    assert set(_codes(denied)) <= {"database_unavailable", "deadline_exceeded"}
    assert (settle.status_code, settle.json()["code"]) == (202, "settlement_spooled")
    assert (ready.status_code, ready.json()["parts"]["plugins"]) == (503, "ok")
    _until_ready(fragile)
    assert fragile.decide(chat("during", org=org))["allow"]
    soon(lambda: fragile.spent(org)["spent"] == Decimal("0.001"), within_s=10)  # delivered by itself
    settled = fragile.api("POST", f"/v1/holds/{before['hold']['id']}/settle", {"amount_usd": 0.001})
    assert settled.status_code == 200
    assert fragile.spent(org) == {"spent": Decimal("0.001"), "held": Decimal(str(before["hold"]["amount_usd"]))}
    assert_verified(fragile)


def test_a_database_restarted_mid_call_doubles_nothing(fragile: LiveStack) -> None:
    """Calls in flight fail closed; each retried under its id ends up held exactly once."""
    org = fragile.new_org()
    amount = Decimal(str(fragile.decide(chat("probe", org=org))["hold"]["amount_usd"]))
    questions = [chat(f"r-{number}", org=org, principal=f"p{number % 5}") for number in range(120)]
    options = _postgres_options(fragile)
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(fragile.decide, question) for question in questions]
        time.sleep(0.05)
        _postgres(fragile, "-m", "fast", "stop")
        _start_postgres(fragile, options)
        first = [answer.result() for answer in answers]
    _until_ready(fragile)
    assert all(answer["allow"] is not bool(answer["reasons"]) for answer in first)
    again = [fragile.decide(question) for question in questions]
    assert [answer["allow"] for answer in again] == [True] * len(questions), [_codes(a) for a in again if a["reasons"]]
    assert fragile.spent(org) == {"spent": 0, "held": amount * (len(questions) + 1)}
    assert_verified(fragile)


def test_a_killed_service_is_denied_and_started_again(fragile: LiveStack) -> None:
    """OPA denies at once; `up` starts the service again; the money is where it was."""
    org = fragile.new_org()
    held = fragile.decide(chat("kept", org=org))["hold"]
    _child(fragile, " serve").kill()
    started = time.monotonic()
    denied = fragile.decide(chat("kept", org=org))
    assert (denied["allow"], _codes(denied)) == (False, ["facts_unavailable"])
    assert time.monotonic() - started < 2
    _until_ready(fragile)
    again = fragile.decide(chat("kept", org=org))
    assert (again["allow"], again["hold"]["id"]) == (True, held["id"])


def test_a_stopped_service_is_denied_within_the_timeout(fragile: LiveStack) -> None:
    """It accepts connections and answers nothing: OPA's own timeout denies."""
    org = fragile.new_org()
    service = _child(fragile, " serve")
    service.send_signal(signal.SIGSTOP)
    try:
        denied = fragile.decide(chat("hangs", org=org))
    finally:
        service.send_signal(signal.SIGCONT)
    assert (denied["allow"], _codes(denied)) == (False, ["facts_unavailable"])
    _until_ready(fragile)
    assert fragile.decide(chat("hangs", org=org))["allow"]


def test_without_opa_the_client_denies_and_the_service_settles(fragile: LiveStack) -> None:
    """A gateway that cannot reach OPA does not call; what it has called it can still settle."""
    org = fragile.new_org()
    held = fragile.decide(chat("settle-me", org=org))["hold"]
    with SarkClient("http://127.0.0.1:9", service_url=fragile.service_url, token=fragile.settle_token) as client:
        decision = client.decide(chat("no-opa", org=org))
        charge = client.settle(held["id"], usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})
    assert (decision.allow, decision.reasons[0].code) == (False, "opa_unavailable")
    assert charge["actual_usd"] == Decimal("0.0000125")


@pytest.mark.parametrize(("token", "codes"), [("sark_wrong", ["facts_rejected"]), ("", ["facts_rejected"]), (None, [])])
def test_opa_over_tcp_needs_the_right_token(
    fragile: LiveStack, tmp_path: Path, token: str | None, codes: list[str]
) -> None:
    """Without a socket OPA shows a token; a wrong one, or none, denies with a code of its own."""
    port = free_port()
    environment = server.environment(
        base_environment(), service_url=fragile.service_url, token=fragile.facts_token if token is None else token
    )
    command = server.command(find_or_fetch(print), bundle=bundled.folder("rego"), address=f"127.0.0.1:{port}")
    with (tmp_path / "opa.log").open("wb") as log:
        opa = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                if requests.get(url + "/health?bundles", timeout=1).status_code == 200:
                    break
            except requests.RequestException:
                time.sleep(0.05)
        question = chat(f"tcp-{port}", org=fragile.new_org())
        decision = requests.post(f"{url}/v1/data/sark/authz/decision", json={"input": question}, timeout=10).json()
        assert _codes(decision["result"]) == codes
    finally:
        opa.kill()
        opa.wait()
