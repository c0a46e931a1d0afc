"""Plugins over HTTP: what is taken, what is refused and how, and that a refusal leaves everything as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from fixtures.plugins import source_of
from fixtures.stack import LiveStack, chat

PYTHON = "text/x-python"
ALLOW = "return PolicyDecision(allowed=True, reason='fine')"


def upload(
    stack: LiveStack, name: str, source: str | bytes, *, token: str | None = None, kind: str = PYTHON, query: str = ""
) -> requests.Response:
    """`PUT /v1/plugins/{name}`."""
    headers = {"Content-Type": kind, "Authorization": f"Bearer {token or stack.admin_token}"}
    data = source.encode() if isinstance(source, str) else source
    return requests.put(f"{stack.service_url}/v1/plugins/{name}{query}", data=data, headers=headers, timeout=30)


def plugins(stack: LiveStack) -> list[dict[str, Any]]:
    """All that are listed."""
    answer = stack.api("GET", "/v1/plugins")
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["plugins"]
    return listed


def events(stack: LiveStack, **query: Any) -> list[dict[str, Any]]:
    """The audit record, the latest first."""
    answer = stack.api("GET", "/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


@pytest.fixture
def clean(stack: LiveStack) -> Iterator[LiveStack]:
    """The stack, without uploads before and after."""
    assert plugins(stack) == []
    yield stack
    for listed in reversed(plugins(stack)):
        stack.api("POST", f"/v1/plugins/{listed['name']}/disable")
    for listed in plugins(stack):
        stack.api("DELETE", f"/v1/plugins/{listed['name']}")
    assert plugins(stack) == []


def test_a_plugin_is_uploaded_switched_and_removed(clean: LiveStack) -> None:
    """201 the first time, 200 the next; each step is listed, and on record."""
    assert upload(clean, "written", source_of(ALLOW)).status_code == 201
    (listed,) = plugins(clean)
    assert (listed["name"], listed["version"], listed["state"], listed["enabled"]) == (
        "written",
        "1.0.0",
        "running",
        True,
    )
    assert (listed["sandboxed"], listed["uploaded"], listed["origin"]) == (True, True, "upload/written.py")
    again = upload(clean, "written", source_of(ALLOW).replace("1.0.0", "1.1.0"))
    assert (again.status_code, again.json()["version"]) == (200, "1.1.0")
    assert again.json()["revision"] > listed["revision"]
    assert clean.api("GET", "/v1/plugins/written").json() == again.json()
    for step, enabled in (("disable", False), ("enable", True), ("reload", True), ("release", True)):
        answer = clean.api("POST", f"/v1/plugins/written/{step}")
        assert (answer.status_code, answer.json()["enabled"]) == (200, enabled), answer.text
    assert clean.api("DELETE", "/v1/plugins/written").status_code == 204
    gone = clean.api("GET", "/v1/plugins/written")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_plugin")
    steps = [event["action"].removeprefix("plugin.") for event in events(clean, subject="written", limit=7)]
    assert steps == ["remove", "release", "reload", "enable", "disable", "upload", "upload"]
    event = events(clean, subject="written", action="plugin.upload", limit=1)[0]
    assert (event["actor"], event["role"], event["outcome"], event["code"]) == ("local-admin", "admin", "ok", None)
    assert (event["details"]["version"], event["details"]["digest"]) == ("1.1.0", again.json()["digest"])
    assert event["id"] == again.json()["revision"]


def test_a_plugin_uploaded_disabled_is_not_asked(clean: LiveStack) -> None:
    """And stays so when it is replaced, until it is enabled."""
    deny = source_of("return PolicyDecision(allowed=False, reason='never')")
    org = clean.new_org()
    assert upload(clean, "written", deny, query="?enabled=false").json()["enabled"] is False
    assert upload(clean, "written", deny).json()["enabled"] is False
    assert clean.decide(chat("one", org=org))["allow"] is True
    assert upload(clean, "written", deny, query="?enabled=true").json()["enabled"] is True
    assert clean.decide(chat("two", org=org))["allow"] is False
    assert upload(clean, "written", deny, query="?enabled=maybe").json()["code"] == "invalid_input"


def test_a_configuration_is_set_and_kept(clean: LiveStack) -> None:
    """The plugin is made with it at once, and with it again after the next upload."""
    body = "return PolicyDecision(allowed=False, reason=str(self.config))"
    org = clean.new_org()
    upload(clean, "written", source_of(body))
    assert clean.api("PUT", "/v1/plugins/written/config", {"limit": 5}).status_code == 200
    (reason,) = clean.decide(chat("one", org=org))["reasons"]
    assert reason["message"] == "{'limit': 5}"
    upload(clean, "written", source_of(body + "  # more"))
    (reason,) = clean.decide(chat("two", org=org))["reasons"]
    assert reason["message"] == "{'limit': 5}"
    refused = clean.api("PUT", "/v1/plugins/written/config", [5])
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    (event,) = events(clean, subject="written", action="plugin.configure", limit=1)
    assert (event["outcome"], event["code"]) == ("refused", "invalid_input")


BAD: dict[str, tuple[str | bytes, int, str, int | None, str]] = {
    "binary": (b"\x7fELF\x02\x01\x01\x00", 422, "plugin_invalid", 1, "NUL"),
    "no_utf8": (b"# fine\n\xff\xfe", 422, "plugin_invalid", 2, "UTF-8"),
    "no_subclass": ("x = 1\n", 422, "plugin_invalid", None, "PolicyPlugin"),
    "two_subclasses": (
        source_of(ALLOW) + "\nclass Second(Written):\n    pass\n",
        422,
        "plugin_invalid",
        None,
        "Second",
    ),
    "syntax_error": ("def broken(:\n", 422, "plugin_invalid", 1, "syntax"),
    "syntax_error_below": ("import json\n\n\nx = = 1\n", 422, "plugin_invalid", 4, "syntax"),
    "too_large": ("#" * 300_000, 413, "payload_too_large", None, "256 KiB"),
    "loop_at_import": ("while True:\n    pass\n", 422, "plugin_invalid", None, "cpu limit"),
    "forbidden_import": ("import socket\n", 422, "plugin_invalid", 1, "socket"),
    "wrong_signature": (
        source_of(ALLOW, name="bad").replace("self, context: PolicyContext", "self"),
        422,
        "plugin_invalid",
        None,
        "evaluate",
    ),
    "not_async": (source_of(ALLOW, name="bad").replace("async def", "def"), 422, "plugin_invalid", None, "async"),
    "other_name": (source_of(ALLOW, name="other"), 422, "plugin_invalid", None, "other"),
    "hang_in_on_load": (
        source_of(ALLOW, name="bad") + "\n    async def on_load(self):\n        await asyncio.sleep(3600)\n",
        422,
        "plugin_invalid",
        None,
        "time limit",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_upload_is_told_where_it_is_bad(clean: LiveStack, case: str) -> None:
    """By code, file and, where there is one, line; what ran goes on; the refusal is on record."""
    source, status, code, line, word = BAD[case]
    upload(clean, "bad", source_of("return PolicyDecision(allowed=True, reason='the first')", name="bad"))
    before = plugins(clean)
    refused = upload(clean, "bad", source)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (status, code), problem
    assert refused.headers["content-type"] == "application/problem+json"
    assert word.lower() in problem["detail"].lower()
    assert plugins(clean) == before
    verdict = clean.decide(chat(case, org=clean.new_org()))["verdicts"][0]
    assert (verdict["reason"], verdict["status"]) == ("the first", "ok")
    if status == 422:
        assert problem["errors"][0]["path"] == "upload/bad.py"
        assert "upload/bad.py" in problem["detail"]
    if line is not None:
        assert problem["details"]["line"] == line
    (event,) = events(clean, subject="bad", limit=1)
    assert (event["action"], event["outcome"], event["code"]) == ("plugin.upload", "refused", code)


@pytest.mark.parametrize("kind", ["application/json", "", "text/plain", "text/x-python2"])
def test_a_body_of_another_type_is_415(clean: LiveStack, kind: str) -> None:
    """With the types that are read."""
    refused = upload(clean, "written", source_of(ALLOW), kind=kind)
    assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_media_type")
    assert PYTHON in refused.json()["detail"]
    assert plugins(clean) == []


@pytest.mark.parametrize("name", ["Upper", "1st", "a" * 65, "a.b", "%20"])
def test_a_name_that_is_none_is_refused(clean: LiveStack, name: str) -> None:
    """Before anything is run."""
    refused = upload(clean, name, source_of(ALLOW))
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("DELETE", ""), ("PUT", "/config"), ("POST", "/enable"), ("POST", "/disable"), ("POST", "/reload"),
        ("POST", "/release"),
    ],
)  # fmt: skip
def test_a_plugin_nobody_uploaded_is_unknown(clean: LiveStack, method: str, path: str) -> None:
    """Whatever is asked of it; what would have changed something is on record."""
    answer = clean.api(method, f"/v1/plugins/nobody{path}", {} if method == "PUT" else None)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_plugin")
    if method != "GET":
        (event,) = events(clean, subject="nobody", limit=1)
        assert (event["outcome"], event["code"]) == ("refused", "unknown_plugin")


def test_who_may_not_is_refused_and_on_record(clean: LiveStack) -> None:
    """By the name of the token; who shows none is refused and nobody."""
    refused = upload(clean, "written", source_of(ALLOW), token=clean.settle_token)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    (event,) = events(clean, subject="written", limit=1)
    assert (event["actor"], event["role"], event["action"]) == ("local-settle", "settle", "plugin.upload")
    assert (event["outcome"], event["code"]) == ("refused", "forbidden")
    assert upload(clean, "written", source_of(ALLOW), token="nonsense").status_code == 401
    assert events(clean, subject="written", limit=1) == [event]
    assert clean.api("GET", "/v1/audit", token=clean.facts_token).status_code == 403


def test_accounts_are_on_record_too(clean: LiveStack) -> None:
    """What was set, and what was refused."""
    name = clean.new_org(daily_limit_usd=5)
    clean.api("PUT", f"/v1/accounts/{name}/team/ml", {"parent": f"{name}/team/none"})
    clean.api("PUT", f"/v1/accounts/{name}", {"daily_limit_usd": -1})
    refused, done = events(clean, subject=name, limit=2)
    assert (done["action"], done["outcome"], done["details"]["daily_limit_usd"]) == ("account.put", "ok", 5)
    assert (refused["outcome"], refused["code"]) == ("refused", "invalid_input")
    (event,) = events(clean, subject=f"{name}/team/ml", limit=1)
    assert (event["outcome"], event["code"]) == ("refused", "unknown_account")


def test_the_record_is_read_in_pages(clean: LiveStack) -> None:
    """What is written meanwhile moves nothing."""
    name = clean.new_org()
    for _ in range(6):
        clean.put_account(name)
    whole = [event["id"] for event in events(clean, subject=name)]
    assert len(whole) == 7
    seen, before = [], None
    while True:
        query = {"subject": name, "limit": 3} | ({"before": before} if before else {})
        page = clean.api("GET", "/v1/audit", params=query).json()
        seen += [event["id"] for event in page["events"]]
        clean.put_account(name)
        before = page["next_before"]
        if before is None:
            break
    assert seen == whole
    for query in ({"limit": 0}, {"limit": 1001}, {"before": 0}, {"before": "x"}):
        assert clean.api("GET", "/v1/audit", params=query).json()["code"] == "invalid_input"


def test_the_start_is_on_record_with_the_sandbox(clean: LiveStack) -> None:
    """What the canary found, as `/readyz` tells it."""
    (event,) = events(clean, action="sandbox.start", limit=1)
    assert (event["actor"], event["outcome"]) == ("service", "ok")
    assert event["details"] == clean.api("GET", "/readyz").json()["sandbox"]


def test_metrics_follow_the_plugins(clean: LiveStack) -> None:
    """The state of each; nothing is left of one that is gone."""
    upload(clean, "written", source_of(ALLOW))
    clean.decide(chat("counted", org=clean.new_org()))
    text = clean.api("GET", "/metrics").text
    assert 'sark_plugin_state{plugin="written",state="running"} 1.0' in text
    assert 'sark_plugin_verdicts_total{allowed="true",plugin="written",status="ok"} 1.0' in text
    assert 'sark_plugin_loads_total{outcome="loaded"}' in text
    clean.api("POST", "/v1/plugins/written/disable")
    assert 'sark_plugin_state{plugin="written",state="disabled"} 1.0' in clean.api("GET", "/metrics").text
    clean.api("DELETE", "/v1/plugins/written")
    assert 'plugin="written"' not in clean.api("GET", "/metrics").text
