"""The pages on plugins say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from sark_opa.bundled import folder
from sark_opa.kit import cases
from sark_opa.plugin import PolicyContext
from sark_opa.sandbox.contract import Status
from sark_opa.sandbox.guest.walls.basic import standard
from sark_opa.sandbox.packages.manifest import Manifest

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "guides/write-a-plugin.md").read_text()
EXPLANATION = (DOCS / "explanation/plugins.md").read_text()


@pytest.mark.anyio
async def test_the_guide_s_example_passes_its_own_cases(anyio_backend, tmp_path):
    """The three files of the guide, as printed, are a plugin that does what its cases state."""
    blocks = dict(re.findall(r"^`plugins/large_prompts/([\w.]+)`:\n```\w+\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE))
    assert set(blocks) == {"plugin.py", "plugin.yaml", "cases.yaml"}
    for name, text in blocks.items():
        (tmp_path / name).write_text(text)
    results = await cases.run(tmp_path)
    assert [(result.name, result.faults) for result in results if result.faults] == []


def test_every_field_has_its_line():
    """No manifest field, context field, status or layer is missing from its page."""
    for field in Manifest.model_fields:
        assert re.search(rf"^\| .*`{field}`.* \|", GUIDE, re.MULTILINE), field
    for field in PolicyContext.__dataclass_fields__:
        assert f"`{field}`" in GUIDE, field
    for status in get_args(Status):
        assert f"| `{status}` |" in EXPLANATION, status
    for layer in standard():
        assert f"| `{layer.name}` |" in EXPLANATION, layer.name


@pytest.mark.parametrize("name", ["business_hours", "rate_limit", "cost_aware"])
def test_every_plugin_has_its_page(name):
    """Each bundled plugin's README names every configuration of its manifest with the default."""
    place = folder("plugins") / name
    page = (place / "README.md").read_text()
    for field, default in yaml.safe_load((place / "plugin.yaml").read_text())["config"].items():
        shown = f"[{', '.join(default)}]" if isinstance(default, list) else str(default)
        assert re.search(rf"\| `{field}` \| `?{re.escape(shown)}`? \|", page), field
