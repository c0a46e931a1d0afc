"""The page on estimates is true: its code runs, its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.pages import Block, blocks
from pydantic import BaseModel

from sark_opa.cost.overlay import Above, ModelEntry, Overlay, ProviderEntry, ResourceEntry

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "explanation" / "estimates.md").read_text()
BLOCKS = blocks("docs/explanation/estimates.md", "python")


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_examples_print_what_they_say(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    """Each `print(…)  # …` prints its comment, up to a colon."""
    exec(compile(block.typed(), "estimates.md", "exec"), {})  # our own page
    promised = [
        line.split("# ", 1)[1].rsplit(": what", 1)[0] for line in block.text.splitlines() if line.startswith("print")
    ]
    assert capsys.readouterr().out.splitlines() == promised


@pytest.mark.parametrize("model", [Overlay, ProviderEntry, ResourceEntry, ModelEntry, Above], ids=lambda m: m.__name__)
def test_every_field_of_the_overlay_is_described(model: type[BaseModel]) -> None:
    """A key of the YAML file that the page does not name is a key nobody finds."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert [name for name in names if not re.search(rf"`{name}[`.\[]", PAGE)] == []
