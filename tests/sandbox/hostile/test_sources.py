"""Sources that are bombs before a line of them runs: each is refused with a clear error, or harmless."""

from __future__ import annotations

import re

import pytest
from sandbox.hostile.catalogue import LOAD_ERROR, Attack

pytestmark = pytest.mark.anyio

PLUGIN = """
from sark_opa.plugin import PolicyDecision, PolicyPlugin


class Attack(PolicyPlugin):
    name = "source"
    version = "1.0.0"

    async def evaluate(self, context):
        return PolicyDecision(True, "loaded")
"""
LOADS = "^loaded$"
NESTED = r"(too many nested parentheses|cannot be parsed: (RecursionError|MemoryError))"
"""Which of them depends on the interpreter's version: each names the source as what cannot be read."""
SOURCES = {
    "parentheses": ("(" * 100_000 + ")" * 100_000, NESTED),
    "lists": ("[" * 2_000 + "]" * 2_000, NESTED),
    "minus signs": ("-" * 100_000 + "1", NESTED),
    "attributes": ("x" + ".x" * 100_000, NESTED),
    "calls": ("x" + "()" * 100_000, NESTED),
    "operators": ("1" + "+1" * 100_000, NESTED),
    "comparisons": (PLUGIN + "y = " + "1<" * 30_000 + "2", LOADS),
    "lambdas": ("lambda: " * 30_000 + "1", NESTED),
    "conditions": ("1 if 1 else " * 20_000 + "1", NESTED),
    "indentation": ("\n".join(" " * depth + "if 1:" for depth in range(120)), r"too many levels of indentation"),
    "branches": ("if 0: pass\n" + "elif 0: pass\n" * 15_000, NESTED),
    "decorators": ("@x\n" * 50_000 + "def f(): pass", "NameError"),
    "nested functions": (
        "".join(" " * depth + "def f():\n" for depth in range(99)) + " " * 99 + "pass",
        "no class here",
    ),
    "f-strings": ("f'" + "{f'" * 3 + "'", r"syntax error"),
    "a number of digits": ("x = " + "9" * 200_000, "Exceeds the limit"),
    "a shift": (PLUGIN + "x = 1 << 10**9", "MemoryError"),
    "a repetition": (PLUGIN + "x = 'x' * 10**12", "MemoryError"),
    "a power": (PLUGIN + "x = 7 ** 10 ** 8", r"cpu limit"),
    "a NUL byte": (PLUGIN + "\0", "NUL byte"),
    "a carriage return": (PLUGIN.replace("\n", "\r"), LOADS),
    "form feeds": ("\f" + PLUGIN, LOADS),
    "a byte order mark": ("\ufeff" + PLUGIN, LOADS),
    "broken UTF-8": (PLUGIN + "# \udcff\udcfe", "it is not UTF-8"),
    "an encoding that rewrites it": ("# coding: rot13\n" + PLUGIN, LOADS),
    "an encoding nobody knows": ("# coding: nobody\n" + PLUGIN, LOADS),
    "turned text": (PLUGIN + "\n# \u202e\u2066 kcatta \u2069\u202c\n", LOADS),
    "letters that look alike": (PLUGIN.replace("PolicyDecision(True", "\uff30olicyDecision(True"), LOADS),
    "unfinished text": ('"""' + "x" * 1_000, r"syntax error: unterminated"),
    "a backslash at the end": (PLUGIN + "\\", r"syntax error"),
    "300 KB": (PLUGIN + "#" * 300_000, "larger than 256 KiB"),
    "no class": ("x = 1", r"no class here"),
    "nothing": ("", r"no class here"),
    "two plugins": (PLUGIN + PLUGIN.replace("class Attack", "class Second"), r"one plugin a file"),
    "its base replaced": (
        "import sark_opa.plugin\nsark_opa.plugin.PolicyPlugin = object\n" + PLUGIN,
        "no class here",
    ),
    "a class that is no class": ("class Attack:\n    name = 'source'", r"no class here"),
    "a star": (
        "from sark_opa.plugin import *\nfrom sark_opa.sandbox.host import *",
        "cannot be imported in a plugin",
    ),
    "the future": ("from __future__ import braces", r"not a chance"),
    "await outside": ("await x", "outside function"),
}


@pytest.mark.parametrize("case", SOURCES)
@pytest.mark.parametrize("walls", ["full", "seccomp_only"])
async def test_a_source_is_refused_or_harmless(arena, walls, case):
    """It is read behind the walls; the error says what is wrong, and the plugins that run go on."""
    source, reason = SOURCES[case]
    place = await arena(walls, "cpu_limit" if case == "a power" else "")
    attack = Attack(
        key="900_source", what=case, origin="79", outcome=(LOAD_ERROR, "ok"), reason=reason, then=(), calls=1,
        pause_s=0, limits="", may="", source=source,
    )  # fmt: skip
    seen = await place.run(attack)
    assert seen.breaches == []
    assert seen.statuses in ([LOAD_ERROR], ["ok"])
    assert re.search(reason, seen.reason), seen.reason
