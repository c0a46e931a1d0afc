"""The Python of the guides does what its comments say."""

from __future__ import annotations

import os
import uuid
from typing import Any

import pytest
from docs.pages import ROOT, blocks
from fixtures.stack import LiveStack


def test_the_estimators_print_what_they_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All examples of the page, in one session; each `print(…)  # …` prints its comment."""
    monkeypatch.chdir(ROOT)
    session: dict[str, Any] = {}
    promised = []
    for block in blocks("docs/guides/embed-estimates.md", "python"):
        exec(compile(block.typed(), str(block), "exec"), session)  # our own page
        promised += [line.split("  # ", 1)[1] for line in block.text.splitlines() if line.startswith("print")]
    assert capsys.readouterr().out.splitlines() == promised


def test_the_gateway_decides_calls_and_settles(stack: LiveStack) -> None:
    """The example of the integration guide, with a provider that answers at once."""
    (block,) = blocks("docs/guides/integrate-a-gateway.md", "python")
    org = f"docs-gateway-{os.getpid()}"
    text = block.typed().replace('"acme"', f'"{org}"').replace("one-id-per-call", str(uuid.uuid4()))
    text = text.replace("http://127.0.0.1:8181", stack.opa_url).replace("http://127.0.0.1:8088", stack.service_url)
    usage = {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17}
    session: dict[str, Any] = {
        "settle_token": stack.settle_token,
        "call_the_provider": lambda body: {"usage": usage, "model": body["model"]},
    }
    exec(compile(text, str(block), "exec"), session)  # our own page
    session["sark"].close()
    assert session["decision"].allow
    assert session["charge"]["actual_usd"] == stack.spent(org)["spent"] > 0
