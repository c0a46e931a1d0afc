"""`opa-config.yaml` as it is shipped."""

from pathlib import Path

import requests
import yaml
from fixtures.opa import REGO, question, running_opa, scripted_service

CONFIG = REGO.parent / "opa-config.yaml"


def test_opa_runs_on_the_shipped_configuration(opa_binary: Path, tmp_path: Path) -> None:
    """It starts, every key reaches OPA, and `POST /` answers the decision."""
    written = yaml.safe_load(CONFIG.read_text())
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, config=CONFIG, service_url=url) as opa,
    ):
        active = requests.get(f"{opa.url}/v1/config", timeout=5).json()["result"]
        decision = requests.post(opa.url, json=question(), timeout=5).json()
    assert decision["allow"] is True
    assert len(script.asked) == 1
    for key in ("server", "caching"):
        assert active[key] == written[key]
    assert active["labels"]["app"] == "sark-opa"


def test_a_body_above_the_limit_is_refused(opa_binary: Path, tmp_path: Path) -> None:
    """OPA does not parse what the service would refuse anyway."""
    large = question(arguments={"model": "gpt-4o", "prompt": "x" * 9_000_000})
    with (
        scripted_service() as (script, url),
        running_opa(opa_binary, tmp_path, config=CONFIG, service_url=url) as opa,
    ):
        answer = requests.post(f"{opa.url}/v1/data/sark/authz/decision", json={"input": large}, timeout=30)
    assert answer.status_code == 400
    assert script.asked == []
