"""`sark-opa plugin …` as a user runs it, from a new plugin to one that is installed and answers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.archives import archive_of, put
from fixtures.plugins import ask, question
from fixtures.stack import LiveStack

from sark_opa.bundled import folder
from sark_opa.cli import main
from sark_opa.sandbox import PluginHost

SARK = [sys.executable, "-m", "sark_opa", "plugin"]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def sark_process(tmp_path: Path) -> Callable[..., Ended]:
    """Runs a command as a user does, in a folder of its own."""

    def run(*arguments: str, status: int = 0, typed: str = "", **environment: str) -> Ended:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SARK_")}
        done = subprocess.run(
            [*SARK, *arguments],
            cwd=tmp_path,
            env=inherited | {"COLUMNS": "200"} | environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            start_new_session=True,  # without a terminal a passphrase is read from standard input
        )
        return _checked(Ended(done.returncode, done.stdout, done.stderr), status)

    return run


@pytest.fixture
def sark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """The same within this process, since starting one takes longer than most commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, status: int = 0, **environment: str) -> Ended:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["sark-opa", "plugin", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return _checked(Ended(int(ended.value.code or 0), told.out, told.err), status)

    return run


def _checked(ended: Ended, status: int) -> Ended:
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


@pytest.mark.anyio
async def test_the_whole_way_of_a_plugin(anyio_backend, sark_process, tmp_path):
    """New, checked, tested, packed, signed, verified, installed, loaded, asked."""
    sark_process("new", "first-one", "--folder", "mine")
    assert sark_process("check", "mine/first-one").stdout == "1 plugin: nothing is wrong\n"
    assert sark_process("test", "mine/first-one").stdout.endswith("\n3 cases, 0 failed\n")
    packed = sark_process("pack", "mine/first-one", "-o", "index/first-one.sarkplugin").stdout
    assert packed.startswith("packed index/first-one.sarkplugin: ")
    made = sark_process("keygen", "keys/alice").stdout
    key_id = made.split()[1]
    assert key_id.startswith("ed25519:")
    sark_process("verify", "index/first-one.sarkplugin", "--keys", "keys", status=1)
    assert key_id in sark_process("sign", "index/first-one.sarkplugin", "--key", "keys/alice.pem").stdout
    verified = sark_process("verify", "index/first-one.sarkplugin", "--keys", "keys/alice.pub.pem").stdout
    assert verified == f"index/first-one.sarkplugin: first-one 0.1.0, signed by alice ({key_id})\n"
    install = ["install", "first-one>=0.1", "--index", "index", "--keys", "keys", "--require-signed"]
    assert "would install first-one 0.1.0" in sark_process(*install, "--dry-run").stdout
    assert not (tmp_path / "plugins").exists()
    assert "installed first-one 0.1.0 from index/first-one.sarkplugin, signed by alice" in sark_process(*install).stdout
    assert "first-one  0.1.0" in sark_process("list").stdout
    host = PluginHost()
    try:
        await host.start()
        info = await host.load(tmp_path / "plugins" / "first-one-0.1.0.sarkplugin", config={"resources": ["wiki"]})
        (verdict,) = await ask(host, question(resource_id="wiki"))
        (denied,) = await ask(host, question(resource_id="openai"))
    finally:
        await host.close()
    assert (info.name, info.version) == ("first-one", "0.1.0")
    assert (verdict.allowed, denied.allowed) == (True, False)
    assert denied.reason == "openai is not allowed; ask for one of wiki"


def test_new_refuses_what_is_there_and_what_is_no_name(sark, tmp_path):
    """Nothing is written over."""
    sark("new", "mine")
    source = tmp_path / "mine" / "plugin.py"
    source.write_text("kept")
    assert "mine exists; choose another name" in sark("new", "mine", status=1).stderr
    assert source.read_text() == "kept"
    for name in ("Mine", "../x", "1st", "", "x" * 65):
        assert "is no plugin's name" in sark("new", name, status=1).stderr


@pytest.mark.parametrize("name", ["a", "rate-limit_2", "x" * 64])
def test_whatever_its_name_a_new_plugin_is_sound(sark, name):
    """As generated."""
    sark("new", name)
    sark("check", name)


def test_check_exits_with_1_and_speaks_json(sark, tmp_path):
    """One line a fault; the same as data."""
    sark("new", "mine")
    (tmp_path / "mine" / "plugin.py").write_text("import socket\n\nopen('x')\n")
    told = sark("check", "mine", status=1).stdout.splitlines()
    assert told[0].endswith("/mine/plugin.py:1: " + told[0].partition(":1: ")[2])
    assert told[-1] == "1 plugin: 2 faults"
    found = json.loads(sark("check", "mine", "--json", status=1).stdout)["faults"]
    assert [fault["line"] for fault in found] == [1, 3]
    assert set(found[0]) == {"path", "line", "field", "message", "remedy"}


def test_cases_that_fail_show_why(sark, tmp_path):
    """What differs, and what was printed; what a plugin prints gives a terminal no orders."""
    sark("new", "mine")
    source = tmp_path / "mine" / "plugin.py"
    source.write_text(source.read_text().replace('"""Look the resource up."""', r"print('seen \x1b[31m')"))
    cases = tmp_path / "mine" / "cases.yaml"
    cases.write_text(
        cases.read_text().replace("{resource_id: openai, expect: {allowed: true}}", "{expect: {allowed: false}}")
    )
    told = sark("test", "mine", status=1).stdout
    assert "mine: a resource of the list is allowed: FAILED" in told
    assert "\n  step 1: expected to be denied, was allowed with 'openai is allowed'\n  | seen \\x1b[31m\n" in told
    assert told.endswith("3 cases, 1 failed\n")
    one = json.loads(sark("test", "mine", "--case", "the operator may give another list", "--json").stdout)
    assert [(case["name"], case["faults"]) for case in one["plugins"][0]["cases"]] == [
        ("the operator may give another list", [])
    ]
    source.write_text("def (:\n")
    assert "plugin.py:1: syntax error" in sark("test", "mine", status=1).stderr
    source.write_text(r"raise ValueError('\x1b[31m')")
    assert r"plugin.py:1: ValueError: \x1b[31m" in sark("test", "mine", status=1).stderr


def test_bench_measures(sark_process, tmp_path):
    """Every figure is there and plausible; another question can be asked."""
    place = str(folder("plugins") / "business_hours")
    told = sark_process("bench", place, "--calls", "200").stdout
    assert "200 allowed" in told
    for word in ("p50", "p99", "calls/s", "memory", "load"):
        assert word in told
    (tmp_path / "night.yaml").write_text("at: 2026-03-02T03:00:00Z\n")
    options = ["--calls", "300", "--concurrency", "32", "--question", "night.yaml", "--json"]
    figures = json.loads(sark_process("bench", place, *options).stdout)
    assert figures["verdicts"] == {"denied": 300}
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert 1_000_000 < figures["memory_bytes"] < 60_000_000
    (tmp_path / "wrong.yaml").write_text("when: now\n")
    assert "wrong.yaml: when: Extra" in sark_process("bench", place, "--question", "wrong.yaml", status=1).stderr


def test_a_passphrase_is_asked_for_or_given(sark_process):
    """By its variable, or typed; never as an argument."""
    sark_process("new", "mine")
    sark_process("pack", "mine", "-o", "mine.sarkplugin")
    sark_process("keygen", "locked", "--passphrase", typed="right\nright\n")
    sark_process("sign", "mine.sarkplugin", "--key", "locked.pem", typed="right\n")
    sark_process("sign", "mine.sarkplugin", "--key", "locked.pem", SARK_SIGNING_PASSPHRASE="right")
    wrong = sark_process("sign", "mine.sarkplugin", "--key", "locked.pem", SARK_SIGNING_PASSPHRASE="wrong", status=1)
    assert "the passphrase is wrong" in wrong.stderr
    assert "signed by locked" in sark_process("verify", "mine.sarkplugin", "--keys", ".").stdout


def test_install_says_why_it_does_not(sark, tmp_path):
    """A conflict, a signature that is missing, keys that are."""
    put(tmp_path / "index", archive_of("gate", "2.0", ["limit>=2"]))
    put(tmp_path / "index", archive_of("limit", "1.0"))
    ended = sark("install", "gate", "--index", "index", status=1)
    assert (
        "plugin_invalid no version of limit will do for limit>=2 (asked for by gate 2.0); there are 1.0" in ended.stderr
    )
    sark("keygen", "alice")
    unsigned = ["install", "index/limit-1.0.sarkplugin", "--keys", "alice.pub.pem", "--require-signed"]
    assert "plugin_unsigned" in sark(*unsigned, status=1).stderr
    assert "--require-signed needs --keys" in sark("install", "limit", "--require-signed", status=1).stderr
    listed = json.loads(sark("list", "--index", "index", "--json").stdout)["plugins"]
    assert [(row["name"], row["requires"]) for row in listed] == [("gate", "limit>=2"), ("limit", "")]


def test_pack_wants_a_folder(sark, tmp_path):
    """And one whose manifest is sound."""
    (tmp_path / "x.py").write_text("x = 1\n")
    assert "no folder with a plugin.yaml" in sark("pack", "x.py", status=1).stderr
    shutil.copytree(folder("plugins") / "rate_limit", tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("x" * 300_000)
    assert "README.md: it is larger than 256 KiB" in sark("pack", "copy", status=1).stderr


def test_list_asks_a_running_service(sark, stack: LiveStack):
    """With a token that may read; without one it says so."""
    refused = sark("list", "--url", stack.service_url, status=1)
    assert "401" in refused.stderr
    tokens = json.loads((stack.data / "tokens.json").read_text())
    listed = sark("list", "--url", stack.service_url, "--json", SARK_TOKEN=tokens["admin"])
    assert isinstance(json.loads(listed.stdout)["plugins"], list)
    assert "does not answer" in sark("list", "--url", "http://127.0.0.1:9", status=1).stderr
