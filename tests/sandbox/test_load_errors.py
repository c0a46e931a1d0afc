"""Whatever is wrong with a plugin is refused at load, named, and disturbs nothing else."""

from __future__ import annotations

import textwrap

import pytest
from fixtures.plugins import ask, processes_of, source_of

from sark_opa.errors import PluginError

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"
GOOD = source_of(ALLOW, name="good")

SOURCES = {
    "syntax": ("def f(:\n", r"bad\.py:1: syntax error"),
    "indentation": ("if 1:\n    x = 1\n  y = 2\n", r"bad\.py:3: syntax error"),
    "nul byte": ("x = 1\n\0\n", r"bad\.py:2: it is no text: it holds a NUL byte"),
    "nesting": ("x = " + "(" * 100_000, r"bad\.py.*: (syntax error|the source cannot be parsed)"),
    "nested lists": (
        "x = " + "[" * 2_000 + "]" * 2_000,
        r"bad\.py.*: (syntax error|the source cannot be parsed|.*crashed)",
    ),
    "empty": ("", r"no class here subclasses sark_opa\.plugin\.PolicyPlugin"),
    "only imported": ("from sark_opa.plugin import PolicyPlugin\n", "no class here subclasses"),
    "two plugins": (
        source_of(ALLOW) + "\nclass Second(Written):\n    name = 'second'\n",
        r"bad\.py:\d+: one plugin a file, these are 2: Written, Second",
    ),
    "abstract": (
        "from sark_opa.plugin import PolicyPlugin\nclass Half(PolicyPlugin):\n    name = 'half'\n",
        r"bad\.py:2: Half does not implement evaluate, version",
    ),
    "not async": (
        GOOD.replace("async def evaluate", "def evaluate"),
        r"bad\.py:17: Written\.evaluate must be `async def`: write `async def evaluate\(self, context\)`",
    ),
    "no context": (
        GOOD.replace("self, context: PolicyContext", "self"),
        r"bad\.py:17: Written\.evaluate has the wrong parameters: write `async def evaluate\(self, context\)`",
    ),
    "on_load wants more": (
        GOOD + "\n    async def on_load(self, table):\n        pass\n",
        r"bad\.py:21: Written\.on_load has the wrong parameters: write `async def on_load\(self\)`",
    ),
    "no method": (
        GOOD + "\n    on_unload = 7\n",
        r"bad\.py:\d+: Written\.on_unload must be `async def`",
    ),
    "async snapshot": (
        GOOD + "\n    async def snapshot(self):\n        pass\n\n    def restore(self, state):\n        pass\n",
        r"bad\.py:21: Written\.snapshot must be plain `def`: write `def snapshot\(self\)`",
    ),
    "restore alone": (
        GOOD + "\n    def restore(self, state):\n        pass\n",
        r"bad\.py:21: Written has restore alone; snapshot and restore belong together",
    ),
    "bad name": (source_of(ALLOW, name="Bad Name"), "in the plugin's `name`"),
    "name no text": (GOOD.replace('name = "good"', "name = 7"), "in the plugin's `name`"),
    "priority no number": (GOOD.replace("priority = 100", "priority = 'first'"), "in the plugin's `priority`"),
    "priority a truth": (GOOD.replace("priority = 100", "priority = True"), "in the plugin's `priority`"),
    "forbidden import": (
        "import math\nimport socket\n",
        r"bad\.py:2: import of socket is not allowed; a plugin may import",
    ),
    "forbidden from": ("from os import path\n", r"bad\.py:1: import of os is not allowed"),
    "relative import": ("from . import x\n", r"bad\.py:1: a plugin is one file"),
    "open": ("\n\nx = open('/etc/passwd')\n", r"bad\.py:3: open is not available: a plugin has no files"),
    "reaching": ("x = ().__class__.__base__.__subclasses__()\n", r"bad\.py:1: \.__(base|subclasses)__ reaches into"),
    "raises at import": ("x = 1\ny = 1 / 0\n", r"bad\.py:2: ZeroDivisionError: division by zero"),
    "exits at import": ("raise SystemExit(3)\n", r"bad\.py:1: SystemExit: 3"),
    "import error": ("import importlib\n", r"bad\.py:1: import of importlib is not allowed"),
    "segfault at import": (
        "import typing\ntyping.sys.modules['ctypes'].string_at(0)\n",
        r"bad\.py: it cannot be loaded: crashed \(SIGSEGV\)",
    ),
    "memory at import": ("x = bytearray(600_000_000)\n", r"bad\.py:1: MemoryError"),
    "on_load raises": (
        GOOD + "\n    async def on_load(self):\n        raise LookupError('no table')\n",
        r"bad\.py:\d+: LookupError: no table",
    ),
    "on_load stuck": (
        GOOD + "\n    async def on_load(self):\n        await asyncio.get_running_loop().create_future()\n",
        "waits for something that can never happen",
    ),
    "unprintable error": (
        "class E(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise E\n",
        r"bad\.py:4: E: its text cannot be had",
    ),
}


@pytest.mark.parametrize("case", SOURCES)
async def test_a_source_is_refused_by_name_and_line(shared_host, tmp_path, case):
    """The message names the file, the line where there is one, and what is wrong; others go on."""
    good = tmp_path / "good.py"
    good.write_text(GOOD)
    await shared_host.load(good)
    source, message = SOURCES[case]
    bad = tmp_path / "bad.py"
    bad.write_text(source)
    with pytest.raises(PluginError, match=message):
        await shared_host.load(bad)
    assert [(verdict.plugin, verdict.allowed) for verdict in await ask(shared_host)] == [("good", True)]
    assert len(shared_host.plugins()) == 1


CPU = {"cpu_ms": 300, "wall_ms": 60_000}
TIME = {"cpu_ms": 60_000, "wall_ms": 400}
HANGS = {
    "loop at import": (CPU, "while True: pass\n", "cpu limit: more than 300 ms"),
    "sleep at import": (TIME, "import time\ntime.sleep(60)\n", "time limit: no answer within 400 ms"),
    "loop in on_load": (CPU, GOOD + "\n    async def on_load(self):\n        while True: pass\n", "cpu limit"),
    "hang in on_load": (TIME, GOOD + "\n    async def on_load(self):\n        await asyncio.sleep(60)\n", "time limit"),
    "loop in a property": (
        CPU,
        GOOD + "\n    @property\n    def description(self):\n        while True: pass\n",
        "cpu limit",
    ),
}


@pytest.mark.parametrize("case", HANGS)
async def test_a_load_that_hangs_is_killed(shared_host_with, tmp_path, case):
    """Loading has the limits of a call; the process is gone afterwards."""
    limits, source, message = HANGS[case]
    host = await shared_host_with(**limits)
    path = tmp_path / "bad.py"
    path.write_text(source)
    with pytest.raises(PluginError, match=message):
        await host.load(path)
    await host.ping()
    await processes_of(host, 0)


HEAD = "{name: good, version: 1.0.0, description: x, "
MANIFESTS = {
    "no yaml": ("name: [", r"plugin\.yaml:1: "),
    "tab": ("name: x\n\tversion: 1\n", r"plugin\.yaml:2: "),
    "empty": ("", r"plugin\.yaml:1: the file: "),
    "binary": ("\x07\n", r"plugin\.yaml:1: the character 7 is not allowed"),
    "a list": ("- name\n", r"plugin\.yaml:1: the file: "),
    "two documents": ("name: x\n---\nname: y\n", r"plugin\.yaml:2: but found another document"),
    "a tag": ("!!python/object/apply:os.system ['true']", r"plugin\.yaml:1: could not determine a constructor"),
    "nested": ("config: " + "[" * 10_000, r"plugin\.yaml: it is no YAML that can be read: maximum recursion"),
    "missing name": ("version: 1.0.0\ndescription: x\n", r"plugin\.yaml:1: name: Field required; add `name: …`"),
    "unknown field": (HEAD + "\nprioritty: 3}", r"plugin\.yaml:2: prioritty: Extra .*; did you mean priority\?"),
    "twice": (HEAD + "\nname: good}", r"plugin\.yaml:2: name stands here a second time"),
    "version a number": (
        "{name: good, version: 1.0, description: x}", 'version: Input should be a valid string; put it in quotes: "1.0"'
    ),
    "version no version": ("{name: good, version: newest, description: x}", "'newest' is no version such as 1.0.0"),
    "unknown need": (HEAD + "needs: [clock,\nsecrets]}", r"plugin\.yaml:2: needs\.1: Input should be"),
    "no requirement": (HEAD + "requires: ['other >>']}", "requires: 'other >>' is no requirement such as"),
    "required from a place": (HEAD + "requires: ['other @ https://example.com']}", "more than a name and versions"),
    "required twice": (HEAD + "requires: ['other>1', 'other<2']}", "other stands here a second time"),
    "requires itself": (HEAD + "\nrequires: [good]}", r"plugin\.yaml:2: requires: good requires itself"),
    "on_error": (HEAD + "on_error: allow}", "on_error: Input should be"),
    "timeout too long": (HEAD + "timeout_ms: 60000}", "timeout_ms: Input should be"),
    "entry elsewhere": (HEAD + "entry: ../good.py}", "entry: String should match"),
    "entry missing": (HEAD + "entry: other.py}", r"other\.py: it cannot be read: No such"),
    "homepage": (HEAD + "homepage: 'javascript:alert(1)'}", "homepage: String should match"),
    "other name": ("{name: other, version: 1.0.0, description: x}", "name: it says 'other', the plugin itself 'good'"),
    "other version": ("{name: good, version: '2', description: x}", "version: it says '2', the plugin itself '1.0.0'"),
    "endless config": (HEAD + "config: &a {again: *a}}", r"plugin\.yaml:1: aliases such as \*a are not taken"),
}  # fmt: skip


@pytest.mark.parametrize("case", MANIFESTS)
async def test_a_manifest_is_refused_by_field(shared_host, tmp_path, case):
    """The message names plugin.yaml and the field or line."""
    text, message = MANIFESTS[case]
    (tmp_path / "plugin.py").write_text(GOOD)
    (tmp_path / "plugin.yaml").write_text(text)
    with pytest.raises(PluginError, match=message):
        await shared_host.load(tmp_path)
    assert shared_host.plugins() == ()


CONFIGS = {
    "unknown": ({"begin": 8}, r"plugin\.py: config\.begin: Configured takes start, end"),
    "missing": ({}, r"config\.start: Configured needs it"),
    "refused": ({"start": -1}, r"config\.Configured refuses it: start -1 is below 0"),
    "not data": ({"start": object()}, "config: Encoding objects of type object is unsupported"),
    "too large": ({"start": "x" * 70_000}, "config: larger than 64 KiB"),
}


@pytest.mark.parametrize("case", CONFIGS)
async def test_a_configuration_is_refused_by_field(shared_host, tmp_path, case):
    """The message names the argument and what the plugin takes."""
    path = tmp_path / "plugin.py"
    path.write_text(
        textwrap.dedent("""
            from sark_opa.plugin import PolicyDecision, PolicyPlugin

            class Configured(PolicyPlugin):
                name = "configured"
                version = "1"

                def __init__(self, start, end=17):
                    if start < 0:
                        raise ValueError(f"start {start} is below 0")

                async def evaluate(self, context):
                    return PolicyDecision(True, "yes")
        """)
    )
    config, message = CONFIGS[case]
    with pytest.raises(PluginError, match=message):
        await shared_host.load(path, config=config)


async def test_a_large_source_is_refused_unread(shared_host, tmp_path):
    """300 KB are no plugin; 256 KiB to the byte are one."""
    path = tmp_path / "good.py"
    path.write_text(GOOD + "#" * (300_000 - len(GOOD)))
    with pytest.raises(PluginError, match="is larger than 256 KiB"):
        await shared_host.load(path)
    path.write_text(GOOD + "#" * ((256 << 10) - len(GOOD)))
    assert (await shared_host.load(path)).name == "good"


async def test_a_source_that_is_no_text_is_refused(shared_host, tmp_path):
    """Bytes that are no UTF-8 are named with their line; an encoding cookie changes nothing."""
    path = tmp_path / "good.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\n# \xe4\n" + GOOD.encode())
    with pytest.raises(PluginError, match=r"good\.py:2: it is not UTF-8"):
        await shared_host.load(path)
    path.write_text("# -*- coding: rot13 -*-\n" + GOOD)
    assert (await shared_host.load(path)).name == "good"
