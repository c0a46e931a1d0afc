"""The decision of a real OPA on the bundle as it is shipped, and exactly what it asks of the service."""

import json
from pathlib import Path

import pytest
from fixtures.opa import BASE, RunningOpa, Script, bundle_with, facts, question, running_opa, scripted_service

READS_OFTEN = """package policies.reads_often
import data.sark.budget
import data.sark.cost
import data.sark.facts
import data.sark.plugins
deny contains "dear" if cost.expected_usd > 100
deny contains "dearer" if cost.upper_bound_usd > 100
deny contains "poor" if budget.remaining_usd("team", "day") < 0
deny contains "poor org" if budget.remaining_usd("org", "month") < 0
deny contains "closed" if not plugins.verdict("business_hours").allowed
warn contains "old" if facts.response.body.age_ms > 1000
warn contains message if {
	some i in numbers.range(1, 50)
	facts.known.age_ms > i * 1000
	message := sprintf("older than %d s", [i])
}
"""


def test_decision_has_the_documented_shape(opa: RunningOpa, service: Script) -> None:
    """An allowed call carries its estimate, budget, verdicts, hold and what to do next."""
    expected = facts()
    assert opa.decide(question()) == {
        "allow": True,
        "reasons": [],
        "warnings": [],
        "estimate": expected["estimate"],
        "budget": expected["budget"],
        "verdicts": expected["verdicts"],
        "hold": {"id": "h-1", "amount_usd": 0.02, "expires_at": "2026-01-01T00:10:00Z"},
        "obligations": [{"type": "settle", "href": "/v1/holds/h-1/settle"}],
        "facts": {name: expected[name] for name in ("id", "age_ms", "degraded", "price_revision")},
    }


@pytest.mark.parametrize("rule", ["decision", "allow", "preview"])
def test_facts_are_asked_for_once(opa: RunningOpa, service: Script, rule: str) -> None:
    """One decision is one request, whichever entry point is used."""
    opa.decide(question(), rule)
    assert [asked.path for asked in service.asked] == ["/v1/facts"]
    assert service.asked[0].body["hold"] is (rule != "preview")


@pytest.mark.parametrize("rule", ["decision", "preview"])
def test_facts_are_asked_for_once_by_policies_that_read_them_often(opa_binary: Path, tmp_path: Path, rule: str) -> None:
    """However many policies read facts, and although a preview is evaluated within a `with`."""
    bundle = bundle_with(tmp_path, policies={"reads_often": READS_OFTEN})
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        assert opa.decide(question(), rule)["allow"] is True
        assert len(script.asked) == 1
        script.facts(facts() | {"age_ms": 25_000})
        assert len(opa.decide(question(), rule)["warnings"]) == 25
        assert len(script.asked) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_id": None}, "request_id_missing"),
        ({"principal": {"id": "user-123"}}, "input_invalid"),
        ({"tokens": 5}, "input_invalid"),
        ({"principal": {"id": "u", "org": "acme", "team": "interns"}}, "model_not_allowed"),
    ],
)
def test_nothing_is_asked_after_an_early_denial(opa: RunningOpa, service: Script, changes, code: str) -> None:
    """What can be refused without facts costs no request and holds no money."""
    decision = opa.decide(question(**changes))
    assert decision["allow"] is False
    assert code in {reason["code"] for reason in decision["reasons"]}
    assert service.asked == []


def test_no_input_is_a_whole_denial(opa: RunningOpa, service: Script) -> None:
    """A query without input, as a misconfigured gateway sends it, is an object that denies."""
    decision = opa.document("sark/authz/decision")["result"]
    assert decision["allow"] is False
    assert [reason["code"] for reason in decision["reasons"]] == ["input_invalid"]
    assert service.asked == []


def test_the_question_is_passed_on_unchanged(opa: RunningOpa, service: Script) -> None:
    """The service sees the input itself, with `hold` and the deadline added."""
    opa.decide(question())
    assert service.asked[0].body == BASE["input"] | {"hold": True, "deadline_ms": 1500}
    assert "Authorization" not in service.asked[0].headers


def test_a_denied_hold_is_released_once(opa_binary: Path, tmp_path: Path) -> None:
    """A hold this evaluation made is let go when a policy denies after all; a failed release is a warning."""
    bundle = bundle_with(
        tmp_path, policies={"no": 'package policies.no\ndeny contains "no" if data.sark.cost.status\n'}
    )
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        decision = opa.decide(question())
        assert (decision["allow"], decision["hold"], decision["warnings"]) == (False, None, [])
        assert [asked.path for asked in script.asked] == ["/v1/facts", "/v1/holds/h-1/release"]
        script.release_status = 503
        assert [warning["code"] for warning in opa.decide(question())["warnings"]] == ["release_failed"]
        opa.decide(question(), "preview")
        assert len([asked for asked in script.asked if asked.path.endswith("/release")]) == 2


def test_the_hold_of_an_earlier_evaluation_is_left_alone(opa_binary: Path, tmp_path: Path) -> None:
    """The call may be running on that money: the first evaluation of the same request may have allowed it."""
    bundle = bundle_with(
        tmp_path, policies={"no": 'package policies.no\ndeny contains "no" if data.sark.cost.status\n'}
    )
    duplicate = facts()
    duplicate["budget"]["hold"]["outcome"] = "duplicate"
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, service_url=url) as opa,
    ):
        script.facts(duplicate)
        assert opa.decide(question())["allow"] is False
        assert [asked.path for asked in script.asked] == ["/v1/facts"]


def test_the_service_may_listen_on_a_unix_socket(opa_binary: Path, tmp_path: Path) -> None:
    """For a sidecar: the socket named in OPA's environment is used."""
    with (
        scripted_service(tmp_path / "s") as (script, path),
        running_opa(opa_binary, tmp_path, service_socket=Path(path)) as opa,
    ):
        assert opa.decide(question())["allow"] is True
        assert [asked.path for asked in script.asked] == ["/v1/facts"]


def test_the_token_is_sent_and_shown_nowhere(opa_binary: Path, tmp_path: Path) -> None:
    """No document that can be read from OPA holds it."""
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, service_url=url, token="s3cret-token") as opa,
    ):
        assert opa.decide(question())["allow"] is True
        assert script.asked[0].headers["Authorization"] == "Bearer s3cret-token"
        assert "s3cret-token" not in json.dumps([opa.document(path) for path in ("sark", "policies", "system", "")])


def test_decision_logs_hold_no_prompt_and_no_token(opa_binary: Path, tmp_path: Path) -> None:
    """Although OPA records every operand of `http.send` once it is told to keep them for replay."""
    config = tmp_path / "opa.yaml"
    config.write_text("nd_builtin_cache: true\ndecision_logs: {console: true}\n")
    with (
        scripted_service() as (_, url),
        running_opa(opa_binary, tmp_path, config=config, service_url=url, token="s3cret-token") as opa,
    ):
        asked = question()
        asked["arguments"] |= {
            "messages": [{"role": "user", "content": "a-private-prompt"}],
            "prompt": "a-private-prompt",
        }
        opa.decide(asked)
        opa.decide({"request_id": "r", "promt": "a-private-prompt"})
    logged = opa.log.read_text()
    assert logged.count('"Decision Log"') == 2
    assert '"max_tokens":400' in logged
    assert "a-private-prompt" not in logged
    assert "s3cret-token" not in logged
