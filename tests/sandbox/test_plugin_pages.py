"""The pages on plugins say what the code does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from docs.pages import blocks

from sark_opa.bundled import folder
from sark_opa.kit import cases
from sark_opa.kit.check import check
from sark_opa.kit.install import Lock, Locked
from sark_opa.plugin import PolicyContext
from sark_opa.sandbox.contract import WALLS, Need, Status
from sark_opa.sandbox.packages import archive
from sark_opa.sandbox.packages.config_schema import KEYWORDS, PAIRS_MAX, SCHEMA_VALUES_MAX
from sark_opa.sandbox.packages.manifest import Manifest
from sark_opa.sandbox.packages.signature import Signature

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "guides/write-a-plugin.md").read_text()
EXPLANATION = (DOCS / "explanation/plugins.md").read_text()
PACKAGE = (DOCS / "reference/plugin-package.md").read_text()


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["large_prompts", "night_prompts"])
async def test_the_guide_s_example_passes_its_own_cases(anyio_backend, tmp_path, name):
    """The three files of each example, as printed, are a plugin without fault that does what its cases state."""
    files = dict(re.findall(rf"^`plugins/{name}/([\w.]+)`:\n```\w+\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE))
    assert set(files) == {"plugin.py", "plugin.yaml", "cases.yaml"}
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    assert await check([tmp_path]) == []
    (shown,) = (
        block for block in blocks("docs/guides/write-a-plugin.md", "python") if block.text == files["plugin.py"]
    )
    shown.typed()
    results = await cases.run(tmp_path)
    assert [(result.name, result.faults) for result in results if result.faults] == []


def test_the_guide_s_commands_run(tmp_path):
    """One after the other, as printed, by a reader who types a passphrase where one is asked for."""
    script = "".join(block.typed() for block in blocks("docs/guides/write-a-plugin.md", "sh"))
    assert {f"plugin {word}" in script for word in ("new", "check", "test", "bench", "pack", "sign", "install")} == {
        True
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=os.environ
        | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "SARK_SIGNING_PASSPHRASE": "typed"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "signed by alice" in done.stdout
    assert (tmp_path / "installed" / "plugins.lock").is_file()


def test_the_package_page_lists_what_there_is():
    """Keywords, entries with their sizes, fields of the two JSON files, and figures."""
    text = PACKAGE.partition("## config_schema")[2]
    listed = [
        keyword for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for keyword in re.findall(r"`(.+?)`", row)
    ]
    assert sorted(listed) == sorted(KEYWORDS)
    sizes = dict(re.findall(r"^\| `([\w.]+)` \| (\d+) KiB \|", PACKAGE, re.MULTILINE))
    assert {name: int(kib) << 10 for name, kib in sizes.items()} == {name: archive.bytes_max_of(name) for name in sizes}
    assert len(sizes) == archive.ENTRIES_MAX
    for kind in (archive.About, archive.FileNote, Signature, Locked, Lock):
        for field in kind.__struct_fields__:
            assert f"`{field}`" in PACKAGE, field
    assert f"at most {archive.ARCHIVE_BYTES_MAX >> 20} MiB" in PACKAGE
    assert f"at most {SCHEMA_VALUES_MAX:,} values" in PACKAGE
    assert f"at most {PAIRS_MAX:,} pairs" in PACKAGE


def test_every_field_has_its_line():
    """No manifest field, context field, status or layer is missing from its page."""
    for field in Manifest.model_fields:
        assert re.search(rf"^\| .*`{field}`.* \|", GUIDE, re.MULTILINE), field
    for field in (*PolicyContext.__dataclass_fields__, *cases.Step.model_fields):
        assert f"`{field}`" in GUIDE, field
    for need in get_args(Need):
        assert re.search(rf"^\| `{need}` \|", GUIDE, re.MULTILINE), need
    for status in get_args(Status):
        assert f"| `{status}` |" in EXPLANATION, status
    for layer in WALLS:
        assert f"| `{layer}` |" in EXPLANATION, layer


@pytest.mark.parametrize("name", ["business_hours", "rate_limit", "cost_aware"])
def test_every_plugin_has_its_page(name):
    """Each bundled plugin's README names every configuration of its manifest with the default."""
    place = folder("plugins") / name
    page = (place / "README.md").read_text()
    for field, default in yaml.safe_load((place / "plugin.yaml").read_text())["config"].items():
        shown = f"[{', '.join(default)}]" if isinstance(default, list) else "none" if default is None else str(default)
        assert re.search(rf"\| `{field}` \| `?{re.escape(shown)}`? \|", page), field
