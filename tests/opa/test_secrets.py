"""Tokens and prompts: in no document that OPA shows, and in no decision log."""

import json
from pathlib import Path

import pytest
import requests
from fixtures.opa import bundle_with, facts, question, running_opa, scripted_service


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


@pytest.mark.parametrize(
    "path", ["sark/authz/decision", "sark/authz/decision/obligations", "sark/authz", "sark/facts", "sark"]
)
def test_decision_logs_hold_no_prompt_however_opa_is_asked(opa_binary: Path, tmp_path: Path, path: str) -> None:
    """Where the gateway holds, the decision repeats the input; whoever reads a whole package gets that elsewhere."""
    config = tmp_path / "opa.yaml"
    config.write_text("nd_builtin_cache: true\ndecision_logs: {console: true}\n")
    bundle = bundle_with(tmp_path, config={"hold_mode": "by_gateway"})
    unheld = facts()
    unheld["budget"]["hold"] = None
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, bundle=bundle, config=config, service_url=url, token="s3cret-token") as opa,
    ):
        script.facts(unheld)
        asked = question()
        asked["arguments"]["messages"] = [{"role": "user", "content": "a-private-prompt"}]
        answer = requests.post(f"{opa.url}/v1/data/{path}", json={"input": asked}, timeout=30)
        assert answer.status_code == 200
        assert ("a-private-prompt" in answer.text) is (path != "sark/facts")
    logged = opa.log.read_text()
    assert logged.count('"Decision Log"') == 1
    assert '"max_tokens":400' in logged
    assert "a-private-prompt" not in logged
    assert "s3cret-token" not in logged
