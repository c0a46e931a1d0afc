"""The race: two hundred callers at once, three service processes, one database, a limit edited meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import requests
from fixtures.stack import LiveStack, assert_verified, chat, service_process

ROOM = 23


def _facts(url: str, token: str, question: dict[str, object], session: requests.Session) -> dict[str, object]:
    answer = session.post(
        url + "/v1/facts", json=question | {"hold": True, "deadline_ms": 20_000},
        headers={"Authorization": f"Bearer {token}"}, timeout=60,
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = json.loads(answer.text, parse_float=Decimal)
    return found


def test_exactly_n_of_two_hundred_pass_on_three_processes(stack: LiveStack, tmp_path: Path) -> None:
    """Whatever the interleaving: as many holds as there is room for, not one more, and every invariant holds."""
    org = stack.new_org()
    probe = stack.decide(chat("probe", org=org, principal="p"))
    amount = Decimal(str(probe["hold"]["amount_usd"]))
    stack.api("POST", f"/v1/holds/{probe['hold']['id']}/release", {})
    limit = float(amount * (ROOM + Decimal("0.5")))
    stack.put_account(org, daily_limit_usd=limit, unknown_principals="create")
    edits = itertools.cycle([{"monthly_limit_usd": 10**6}, {"monthly_limit_usd": 10**5}])
    done = threading.Event()

    def edit() -> None:
        while not done.is_set():
            stack.put_account(org, daily_limit_usd=limit, unknown_principals="create", **next(edits))

    with (
        service_process(stack, tmp_path / "a.log", SARK_FACTS_DEADLINE_MS="20000") as first,
        service_process(stack, tmp_path / "b.log", SARK_FACTS_DEADLINE_MS="20000") as second,
        service_process(stack, tmp_path / "c.log", SARK_FACTS_DEADLINE_MS="20000") as third,
    ):
        sessions = {url: requests.Session() for url in (first, second, third)}
        for session in sessions.values():
            session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=100))
        editor = threading.Thread(target=edit)
        editor.start()
        jobs = [
            (url, chat(f"race-{n}", org=org, principal=f"p{n % 13}"))
            for n, url in zip(range(200), itertools.cycle(sessions), strict=False)
        ]
        try:
            with ThreadPoolExecutor(64) as pool:
                answers = list(pool.map(lambda job: _facts(job[0], stack.facts_token, job[1], sessions[job[0]]), jobs))
        finally:
            done.set()
            editor.join()
    outcomes = [
        answer["budget"]["hold"]["outcome"] if answer["budget"]["hold"] else answer["budget"]["status"]
        for answer in answers
    ]  # type: ignore[index]
    assert sorted(set(outcomes)) == ["exceeded", "held"]
    assert outcomes.count("held") == ROOM
    assert stack.spent(org) == {"spent": 0, "held": amount * ROOM}
    assert_verified(stack)


def test_a_gateway_killed_between_hold_and_settle_leaves_nothing_held(stack: LiveStack, tmp_path: Path) -> None:
    """The hold of a process that is gone ends after its time; the ledger agrees with itself afterwards."""
    org = stack.new_org(on_expiry="release")
    script = (
        "import os\nimport requests\n"
        "headers = {'Authorization': 'Bearer ' + os.environ['TOKEN']}\n"
        f"r = requests.post({stack.service_url + '/v1/holds'!r}, headers=headers,\n"
        f"  json={{'request_id': 'dies', 'principal': {{'id': 'u', 'org': {org!r}}}, 'amount_usd': 3, 'ttl_s': 2}})\n"
        "print(r.status_code, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    dead = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"TOKEN": stack.settle_token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (dead.stdout.strip(), dead.returncode) == ("201", -9)
    assert stack.spent(org)["held"] == 3
    _wait_until_nothing_is_held(stack, org)
    assert stack.spent(org) == {"spent": 0, "held": 0}
    assert_verified(stack)


def _wait_until_nothing_is_held(stack: LiveStack, org: str) -> None:
    for _ in range(100):
        if stack.spent(org)["held"] == 0:
            return
        threading.Event().wait(0.2)
