"""A plugin that does not read its questions cannot fill the service's memory with them."""

from __future__ import annotations

import asyncio

import pytest
from fixtures.plugins import ask, question, source_of

from sark_opa.sandbox import Limits

pytestmark = pytest.mark.anyio


async def test_questions_nobody_reads_are_refused(host_with, tmp_path):
    """Of 400 questions of 20 KB at once the queue takes as many as it may; the rest is refused without a wait."""
    host = await host_with(wall_ms=1_000)
    path = tmp_path / "never_reads.py"
    path.write_text(source_of("time.sleep(60)", name="never_reads"), encoding="utf-8")
    await host.load(path)
    asked = [ask(host, question(arguments={"text": "x" * 20_000}), deadline_s=3) for _ in range(400)]
    statuses = [verdicts[0].status for verdicts in await asyncio.gather(*asked)]
    assert statuses.count("overloaded") >= 400 - Limits().waiting_max
    assert set(statuses) == {"overloaded", "timeout"} or set(statuses) == {"overloaded", "timeout", "crashed"}
    assert not any(verdict.allowed for verdicts in [await ask(host)] for verdict in verdicts)
