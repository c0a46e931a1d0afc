"""`sark-opa doctor` on an OPA that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.opa import running_opa
from fixtures.stack import LiveStack


def _doctor(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sark_opa", "doctor", "--opa-url", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_running_stack_is_well(stack: LiveStack) -> None:
    """The bundle is there, and facts come; nothing was held or made for it."""
    told = _doctor(stack.opa_url)
    assert told.returncode == 0, told.stdout
    assert "running OPA" in told.stdout
    assert "facts from the service" in told.stdout
    assert stack.api("GET", "/v1/accounts/sark-opa-doctor").status_code == 404


def test_an_opa_without_its_service_is_ill(opa_binary: Path, tmp_path: Path) -> None:
    """The reason is the one a caller would get."""
    with running_opa(opa_binary, tmp_path, service_url="http://127.0.0.1:9") as opa:
        told = _doctor(opa.url)
    assert told.returncode == 1
    assert "facts_unavailable" in told.stdout


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
def test_no_opa_is_said(url: str) -> None:
    """With the address that was asked."""
    told = _doctor(url)
    assert told.returncode == 1
    assert url in told.stdout


def test_an_opa_with_another_bundle_is_told(opa_binary: Path, tmp_path: Path) -> None:
    """And where ours lies."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "other.rego").write_text("package other\n\nallow := true\n")
    with running_opa(opa_binary, tmp_path, bundle=other) as opa:
        told = _doctor(opa.url)
    assert told.returncode == 1
    assert "without sark-opa's bundle" in told.stdout
    assert "rego" in told.stdout
