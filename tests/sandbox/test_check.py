"""`check` says everything that is wrong at once, each with its line and what to do."""

from __future__ import annotations

import pytest
import yaml
from fixtures.plugins import source_of

from sark_opa.bundled import folder
from sark_opa.kit import pack
from sark_opa.kit.check import check

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"
CASES = "cases: [{name: x, steps: [{expect: {allowed: true}}]}]"


@pytest.fixture
def plugin(tmp_path):
    """Writes a plugin's folder: its source, and fields of its manifest."""

    def write(source, name="written", cases=CASES, **manifest):
        place = tmp_path / name
        place.mkdir()
        (place / "plugin.py").write_text(source)
        fields = {"name": name, "version": "1.0.0", "description": "Written for a test.", **manifest}
        (place / "plugin.yaml").write_text(yaml.safe_dump(fields, sort_keys=False))
        if cases:
            (place / "cases.yaml").write_text(cases)
        return place

    return write


async def said(tmp_path, *paths):
    """The faults, each without the folder all are in."""
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in await check(paths)]


async def test_what_ships_has_no_fault(anyio_backend, tmp_path):
    """As folders, as files, and packed."""
    places = [folder("plugins") / name for name in ("business_hours", "cost_aware", "rate_limit")]
    name, data = pack.pack(places[0])
    (tmp_path / name).write_bytes(data)
    assert await check([*places, places[0] / "plugin.py", tmp_path / name]) == []


SOURCE = """\
import socket
from os import path

from sark_opa.plugin import PolicyDecision, PolicyPlugin


class Bad(PolicyPlugin):
    name = "bad"
    version = "1.0.0"

    def evaluate(self):
        budget = context.facts["budget"]
        other = context.facts.get("nothing")
        before = context.facts["verdicts"]
        return context.host.rate_window

    async def on_load(self, table):
        open(table)

    async def restore(self, state):
        self.__globals__ = eval(state)


class Worse(Bad):
    async def on_unload(self, *, why):
        pass
"""


async def test_every_fault_of_a_source_is_told(anyio_backend, tmp_path, plugin):
    """Imports, names, attributes, methods, facts nobody asked for: by line, with the remedy."""
    path = plugin(SOURCE, name="bad", needs=["clock"])
    found = await said(tmp_path, path)
    expected = [
        "bad/plugin.py:1: import of socket is not allowed; a plugin may import ",
        "bad/plugin.py:2: import of os is not allowed; a plugin may import ",
        "bad/plugin.py:11: Bad.evaluate must be `async def`: write `async def evaluate(self, context)`",
        'bad/plugin.py:12: facts["budget"] is not handed over; add `needs: [budget_status]` to plugin.yaml',
        'bad/plugin.py:13: there is no facts["nothing"]; there are budget, clock, load, verdicts',
        'bad/plugin.py:14: facts["verdicts"] is empty; name the plugins under `requires` in plugin.yaml',
        "bad/plugin.py:15: host.rate_window is not granted; add `needs: [rate_window]` to plugin.yaml",
        "bad/plugin.py:17: Bad.on_load has the wrong parameters: write `async def on_load(self)`",
        "bad/plugin.py:18: open is not available: a plugin has no files; ",
        "bad/plugin.py:20: Bad.restore must be plain `def`: write `def restore(self, state)`",
        "bad/plugin.py:20: Bad has restore without snapshot; the two belong together",
        "bad/plugin.py:21: .__globals__ reaches into the interpreter; ",
        "bad/plugin.py:21: eval is not available: write the expression as code",
        "bad/plugin.py:25: Worse.on_unload has the wrong parameters: write `async def on_unload(self)`",
        "bad/plugin.yaml:4: needs: clock is asked for and never used; take it out",
    ]
    assert len(found) == len(expected)
    for line in expected:
        assert any(each.startswith(line) for each in found), line


async def test_every_fault_of_a_manifest_is_told_and_the_source_is_still_looked_at(anyio_backend, tmp_path, plugin):
    """Fields, schema, cases; then what can be seen without a manifest."""
    fields = {"version": 2, "prioritty": 3, "config_schema": {"type": "objct"}, "needs": ["fire"]}
    path = plugin("import socket\n", cases="cases: [{name: x, step: []}]", **fields)
    assert [line[:100] for line in await said(tmp_path, path)] == [
        'written/plugin.yaml:2: version: Input should be a valid string; put it in quotes: "2"',
        "written/plugin.yaml:8: needs.0: Input should be 'budget_status', 'clock', 'host_load' or 'rate_window'"[:100],
        "written/plugin.yaml:4: prioritty: Extra inputs are not permitted; did you mean priority?",
        "written/plugin.yaml:6: config_schema.type: 'objct' is not valid under any of the given schemas",
        "written/plugin.py:1: import of socket is not allowed; a plugin may import __future__, abc, array, asyncio, "[
            :100
        ],
        "written/cases.yaml:1: cases.0.steps: Field required",
        "written/cases.yaml:1: cases.0.step: Extra inputs are not permitted",
    ]


CONFIG = {
    "type": "object",
    "properties": {"limit": {"type": "integer", "minimum": 1}, "names": {"items": {"type": "string"}}},
    "required": ["limit"],
    "additionalProperties": False,
}


async def test_the_configuration_is_held_against_its_schema(anyio_backend, tmp_path, plugin):
    """Each misfit at its line; then against what the class takes."""
    path = plugin(source_of(ALLOW), config={"limit": 0, "names": ["a", 7], "more": 1}, config_schema=CONFIG)
    assert await said(tmp_path, path) == [
        "written/plugin.yaml:4: config: Additional properties are not allowed ('more' was unexpected)",
        "written/plugin.yaml:5: config.limit: 0 is less than the minimum of 1",
        "written/plugin.yaml:8: config.names.1: 7 is not of type 'string'",
    ]
    one = source_of(ALLOW).replace("**config", "limit").replace("= config", "= limit")
    path = plugin(one, name="other", config={"most": 3})
    assert await said(tmp_path, path) == ["other/plugin.py: config.most: Written takes limit"]


async def test_circles_and_versions_among_the_given(anyio_backend, tmp_path, plugin):
    """Those that are not given are nobody's business here."""
    first = plugin(source_of(ALLOW, name="first"), name="first", requires=["second>=2", "elsewhere"])
    second = plugin(source_of(ALLOW, name="second"), name="second", requires=["first"])
    assert await said(tmp_path, first) == []
    found = await said(tmp_path, first, second)
    assert found[0] == f"first/plugin.yaml:4: requires: second>=2 is required, and {second} is version 1.0.0"
    assert "plugins require each other in a circle: " in found[1]
    assert len(found) == 2


async def test_what_takes_the_interpreter_down_is_a_fault_like_others(anyio_backend, tmp_path, plugin):
    """Parsed here it would end this process."""
    deep = plugin("x = " + "-" * 200_000 + "1", name="deep")
    wide = plugin("x = " + "(" * 100_000, name="wide")
    good = plugin(source_of(ALLOW, name="good"), name="good")
    found = await said(tmp_path, deep, good, wide)
    assert len(found) == 2
    assert found[0].startswith(("deep/plugin.py: it cannot be looked over: ", "deep/plugin.py: the source "))
    assert found[1].startswith("wide/plugin.py")


SINGLE = {
    "no text": (b"\x7fELF\0\0", "bad.py:1: it is no text: it holds a NUL byte"),
    "no utf-8": (b"x = 1\n\xff\n", "bad.py:2: it is not UTF-8; save it as UTF-8 text"),
    "300 KB": (b"#" * 300_000, "bad.py: it is larger than 256 KiB; a plugin is one small file"),
    "syntax": (b"x = 1\ndef (:\n", "bad.py:2: syntax error: invalid syntax"),
    "no class": (b"x = 1\n", "bad.py: no class here subclasses sark_opa.plugin.PolicyPlugin"),
    "raises": (b"x = 1\ny = 1 / 0\n", "bad.py:2: ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("case", SINGLE)
async def test_a_single_file_that_is_no_plugin(anyio_backend, tmp_path, case):
    """Each with its file and, where there is one, its line."""
    content, expected = SINGLE[case]
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    (found,) = await said(tmp_path, path)
    assert found == expected


async def test_a_plugin_without_cases_or_without_anything(anyio_backend, tmp_path, plugin):
    """The folder is named."""
    path = plugin(source_of(ALLOW), cases="")
    assert await said(tmp_path, path) == ["written: it has no cases.yaml; write one case at least; see the guide"]
    assert await said(tmp_path, tmp_path / "nothing") == [
        "nothing: it is neither a folder with a plugin.yaml nor a .py or .sarkplugin file"
    ]
