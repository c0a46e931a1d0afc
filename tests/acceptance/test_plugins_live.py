"""A plugin that is uploaded changes what OPA decides, in every process that shares the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from fixtures.plugins import source_of
from fixtures.stack import LiveStack, chat, service_process, soon, up

ALLOW = source_of("return PolicyDecision(allowed=True, reason='fine')")
DENY = source_of("return PolicyDecision(allowed=False, reason='never')")
CRASH = source_of("reach('os')._exit(7)")
BREAK_OUT = source_of(
    """
    if context.principal_id == "evil":
        calls = next(one for one in reach("gc").get_objects() if type(one).__name__ == "Calls")
        calls._connection.sendall(b"\\xff" * 64)
    return PolicyDecision(allowed=True, reason="fine")
    """
)
REFRESH_S = 0.5


class Replica:
    """One service process, spoken to directly."""

    def __init__(self, url: str, stack: LiveStack) -> None:
        self.url = url
        self._stack = stack

    def api(self, method: str, path: str, data: Any = None, *, kind: str = "text/x-python") -> requests.Response:
        """A call as administrator."""
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self._stack.admin_token}"}
        return requests.request(method, self.url + path, data=data, headers=headers, timeout=30)

    def upload(self, source: str, name: str = "written") -> None:
        """Upload a plugin."""
        answer = self.api("PUT", f"/v1/plugins/{name}", source)
        assert answer.status_code in {200, 201}, answer.text

    def verdicts(self, org: str) -> list[tuple[str, str, bool]]:
        """What its plugins say: name, reason, whether they allow."""
        question = chat(None, org=org) | {"hold": False}
        answer = requests.post(
            self.url + "/v1/facts",
            json=question,
            headers={"Authorization": f"Bearer {self._stack.facts_token}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return [(said["plugin"], said["reason"], said["allowed"]) for said in answer.json()["verdicts"]]

    def plugins(self) -> dict[str, dict[str, Any]]:
        """What it lists, by name."""
        return {listed["name"]: listed for listed in self.api("GET", "/v1/plugins").json()["plugins"]}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A stack whose plugins no other test sees."""
    with up(tmp_path_factory.mktemp("plugins"), env={"SARK_PLUGIN_REFRESH_S": str(REFRESH_S)}) as running:
        yield running


@pytest.fixture
def clean(own: LiveStack) -> Iterator[LiveStack]:
    """The stack, without uploads afterwards."""
    yield own
    service = Replica(own.service_url, own)
    for name in list(service.plugins()):
        service.api("POST", f"/v1/plugins/{name}/disable")
    for name in list(service.plugins()):
        service.api("DELETE", f"/v1/plugins/{name}")
    assert service.plugins() == {}


@pytest.fixture
def replica(clean: LiveStack, tmp_path: Path) -> Callable[..., AbstractContextManager[str]]:
    """Starts one more process on the database."""
    return partial(service_process, clean, tmp_path / "replica.log", SARK_PLUGIN_REFRESH_S=str(REFRESH_S))


def test_an_upload_changes_the_next_decision_and_its_crash_denies(clean: LiveStack) -> None:
    """It denies with its own word, then with `plugin_crashed`; the decision tells of the money all the same."""
    org = clean.new_org(daily_limit_usd=0.0001, enforcement="warn")
    service = Replica(clean.service_url, clean)
    before = clean.decide(chat("before", org=org))
    assert (before["allow"], before["verdicts"]) == (True, [])
    held = clean.spent(org)["held"]
    service.upload(DENY)
    denied = clean.decide(chat("denied", org=org))
    assert denied["allow"] is False
    assert [(reason["code"], reason["message"]) for reason in denied["reasons"]] == [("plugin_denied", "never")]
    service.upload(CRASH)
    crashed = clean.decide(chat("crashed", org=org))
    assert crashed["allow"] is False
    assert [(reason["code"], reason["details"]["plugin"]) for reason in crashed["reasons"]] == [
        ("plugin_crashed", "written")
    ]
    assert crashed["estimate"]["expected_usd"] == before["estimate"]["expected_usd"]
    assert [account["account"] for account in crashed["budget"]["accounts"]][:1] == [f"{org}/principal/user-1"]
    assert crashed["budget"]["status"] == "warning"
    assert "budget_warning" in {warning["code"] for warning in crashed["warnings"]}
    # What the denied calls had held is free again.
    assert clean.spent(org)["held"] == held
    assert service.api("DELETE", "/v1/plugins/written").status_code == 204
    assert clean.decide(chat("after", org=org))["allow"] is True


def test_a_crash_beside_a_budget_that_is_used_up_names_both(clean: LiveStack) -> None:
    """Neither reason hides the other."""
    org = clean.new_org(daily_limit_usd=0.0001)
    Replica(clean.service_url, clean).upload(CRASH)
    decision = clean.decide(chat("both", org=org))
    assert {reason["code"] for reason in decision["reasons"]} == {"budget_exceeded", "plugin_crashed"}


def test_every_process_follows(clean: LiveStack, replica: Callable[..., AbstractContextManager[str]]) -> None:
    """Upload, new version, switches and removal on one, each within the interval on the other."""
    org = clean.new_org()
    first = Replica(clean.service_url, clean)
    with replica() as url:
        second = Replica(url, clean)
        assert second.verdicts(org) == []
        first.upload(DENY)
        soon(lambda: second.verdicts(org) == [("written", "never", False)])
        assert second.plugins()["written"] == first.plugins()["written"]
        second.upload(ALLOW)
        assert second.verdicts(org) == [("written", "fine", True)]
        soon(lambda: first.verdicts(org) == [("written", "fine", True)])
        first.api("POST", "/v1/plugins/written/disable")
        soon(lambda: second.verdicts(org) == [])
        second.api("POST", "/v1/plugins/written/enable")
        soon(lambda: first.verdicts(org) == [("written", "fine", True)])
        first.api("DELETE", "/v1/plugins/written")
        soon(lambda: second.plugins() == {})


def test_plugins_outlive_the_process(clean: LiveStack, replica: Callable[..., AbstractContextManager[str]]) -> None:
    """A process that starts has them from its first answer on: in their order, switched as they were, configured."""
    org = clean.new_org()
    service = Replica(clean.service_url, clean)
    service.upload(source_of("return PolicyDecision(allowed=True, reason=str(self.config))", name="told"), "told")
    service.api("PUT", "/v1/plugins/told/config", '{"limit": 3}', kind="application/json")
    service.upload(source_of("return PolicyDecision(allowed=True, reason='first')", name="early", priority=1), "early")
    service.upload(DENY)
    service.api("POST", "/v1/plugins/written/disable")
    with replica() as url:
        again = Replica(url, clean)
        assert again.verdicts(org) == [("early", "first", True), ("told", "{'limit': 3}", True)]
        assert again.plugins() == service.plugins()
        assert list(again.plugins()) == ["early", "told", "written"]


def test_two_that_upload_at_once_end_alike(
    clean: LiveStack, replica: Callable[..., AbstractContextManager[str]]
) -> None:
    """What is stored last runs everywhere."""
    org = clean.new_org()
    first = Replica(clean.service_url, clean)
    with replica() as url:
        second = Replica(url, clean)
        for turn in range(10):
            sources = [
                source_of(f"return PolicyDecision(allowed=True, reason='{turn} {who}')") for who in ("one", "other")
            ]
            with ThreadPoolExecutor() as pool:
                list(pool.map(Replica.upload, (first, second), sources))
        events = clean.api("GET", "/v1/audit", params={"subject": "written", "action": "plugin.upload"}).json()
        revision = events["events"][0]["id"]
        soon(lambda: {at.plugins()["written"]["revision"] for at in (first, second)} == {revision})
        assert first.verdicts(org) == second.verdicts(org)
        assert first.plugins() == second.plugins()


def test_a_plugin_that_breaks_out_is_quarantined_until_it_is_released(
    clean: LiveStack, replica: Callable[..., AbstractContextManager[str]]
) -> None:
    """In the process where it did; whoever releases it on any of them does so on all."""
    org = clean.new_org(unknown_principals="create")
    first = Replica(clean.service_url, clean)
    first.upload(BREAK_OUT)
    with replica() as url:
        second = Replica(url, clean)
        codes = [
            [reason["code"] for reason in clean.decide(chat(f"q-{n}", org=org, principal=who))["reasons"]]
            for n, who in enumerate(("user-1", "evil", "user-1"))
        ]
        assert codes == [[], ["plugin_violation"], ["plugin_quarantined"]]
        assert first.plugins()["written"]["state"] == "quarantined"
        assert second.plugins()["written"]["state"] == "running"
        assert second.api("POST", "/v1/plugins/written/release").status_code == 200
        soon(lambda: first.plugins()["written"]["state"] != "quarantined")
        soon(lambda: first.verdicts(org) == [("written", "fine", True)])


def test_a_process_that_cannot_load_a_plugin_denies_and_says_so(
    clean: LiveStack, replica: Callable[..., AbstractContextManager[str]]
) -> None:
    """It is not ready, names the plugin, and goes on trying."""
    org = clean.new_org()
    service = Replica(clean.service_url, clean)
    service.upload(ALLOW)
    with replica() as url:
        behind = Replica(url, clean)
        with psycopg.connect(clean.database_url, autocommit=True) as connection:
            # What another version of the service might have stored.
            connection.execute(
                "update sark.plugins set content = 'no = plugin', digest = 'sha256:0',"
                " revision = revision + 100000, load_revision = revision + 100000"
            )
        soon(lambda: behind.verdicts(org)[0][2] is False)
        ((name, reason, _),) = behind.verdicts(org)
        assert (name, reason.startswith("it cannot be loaded here: upload/written.py")) == ("written", True)
        ready = requests.get(url + "/readyz", timeout=10)
        assert (ready.status_code, ready.json()["parts"]["plugins"]) == (503, "plugin_invalid")
        assert ready.json()["plugins_failing"] == ["written"]
        assert behind.plugins()["written"]["state"] == "failing"
        assert (
            'sark_plugin_state{plugin="written",state="failing"} 1.0' in requests.get(url + "/metrics", timeout=9).text
        )
        decision = clean.decide(chat("behind", org=org))
        assert [reason["code"] for reason in decision["reasons"]] == ["plugin_error"]
        behind.upload(ALLOW)
        assert behind.verdicts(org) == [("written", "fine", True)]
        assert requests.get(url + "/readyz", timeout=10).status_code == 200
