"""docs/guides/troubleshoot-plugins.md: each message it quotes is the one that is given, to the plugin it shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from docs.pages import blocks, rows, sections
from docs.shell import Shell, parsed
from fixtures.plugins import ask
from fixtures.stack import LiveStack

from sark_opa.errors import PluginError
from sark_opa.sandbox import PluginHost

PAGE = "docs/guides/troubleshoot-plugins.md"
SHOWN = blocks(PAGE, "python")[0]
SOURCE = SHOWN.text
MANIFEST = blocks(PAGE, "yaml")[0].text
PARTS = sections(PAGE, "## ")
AT_WORK = "        await asyncio.sleep(0)"
SAME_LINE = ("class Quiet", "name =", "evaluate(")


def _code(cell: str) -> str:
    found = re.fullmatch(r"`(.*)`", cell)
    assert found is not None, cell
    return found[1]


def _says(quoted: str, message: str) -> bool:
    """Whether a message reads as quoted, where `…` stands for anything; backticks cannot be quoted in a table."""
    pattern = ".*".join(map(re.escape, quoted.split("…")))
    return re.fullmatch(pattern, message.replace("`", ""), re.DOTALL) is not None


def _quoted(part: str, place: int) -> list[str]:
    return [_code(row[place]) for row in rows(part)]


def _with(line: str) -> str:
    """The source with a line in place of its like, or added: a method to the class, anything else above all."""
    before = SOURCE.splitlines()
    for like in SAME_LINE:
        if like in line and "Second" not in line:
            number = next(number for number, text in enumerate(before) if like in text)
            indent = re.match(" *", before[number])
            assert indent is not None
            before[number] = indent[0] + line
            return "\n".join(before)
    if line.startswith(("def ", "async def ")):
        return f"{SOURCE}\n    {line}\n"
    return f"{SOURCE}\n{line}\n" if line.startswith("class ") else f"{line}\n{SOURCE}"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the plugin of the page, as it is or changed."""

    def written(source: str = SOURCE, text: str = MANIFEST) -> Path:
        folder = tmp_path / "quiet"
        folder.mkdir(exist_ok=True)
        (folder / "plugin.py").write_text(source)
        (folder / "plugin.yaml").write_text(text)
        return folder

    return written


@pytest.mark.anyio
async def test_the_plugin_shown_works(shared_host: PluginHost, write: Callable[..., Path]) -> None:
    """It is loaded and allows; so what is wrong below is the line that was changed."""
    await shared_host.load(write(SHOWN.typed()))
    (verdict,) = await ask(shared_host)
    assert (verdict.status, verdict.reason) == ("ok", "nothing speaks against it")


SOURCES = [tuple(map(_code, row[:2])) for row in rows(sections(PAGE, "### ")["The source"])]
MANIFESTS = [tuple(map(_code, row[:2])) for row in rows(sections(PAGE, "### ")["The manifest"])]


async def _refused(host: PluginHost, folder: Path) -> str:
    with pytest.raises(PluginError) as refused:
        await host.load(folder)
    assert host.plugins() == ()
    message = refused.value.message
    assert message.startswith(str(folder))
    return message.removeprefix(str(folder)).lstrip("/").removeprefix(": ")


@pytest.mark.anyio
@pytest.mark.parametrize(("line", "quoted"), SOURCES)
async def test_a_source_is_refused_as_quoted(
    shared_host: PluginHost, write: Callable[..., Path], line: str, quoted: str
) -> None:
    """File, line, what is wrong."""
    message = await _refused(shared_host, write(_with(line)))
    assert _says(quoted, message), message


@pytest.mark.anyio
@pytest.mark.parametrize(("line", "quoted"), MANIFESTS)
async def test_a_manifest_is_refused_as_quoted(
    shared_host: PluginHost, write: Callable[..., Path], line: str, quoted: str
) -> None:
    """File, line and field."""
    field = line.partition(":")[0]
    text = re.sub(rf"^{field}: .*$", line, MANIFEST, flags=re.MULTILINE) if f"{field}: " in MANIFEST else ""
    message = await _refused(shared_host, write(text=text or f"{MANIFEST}{line}\n"))
    assert _says(quoted, message), message


LINES = [
    tuple(map(_code, row[:3])) for row in rows(PARTS["Its verdict is a failure"]) if "(" in row[0] or " " in row[0]
]


@pytest.mark.anyio
@pytest.mark.parametrize(("line", "status", "quoted"), LINES)
async def test_a_verdict_is_as_quoted(
    shared_host: PluginHost, write: Callable[..., Path], line: str, status: str, quoted: str
) -> None:
    """Status and reason; after a violation the plugin is quarantined, and says so."""
    await shared_host.load(write(SOURCE.replace(AT_WORK, f"        {line}")))
    (verdict,) = await ask(shared_host)
    assert (verdict.status, verdict.allowed) == (status, False)
    assert _says(quoted, verdict.reason), verdict.reason
    if status == "violation":
        (verdict,) = await ask(shared_host)
        assert verdict.status == "quarantined"
        assert any(
            _says(quoted, verdict.reason)
            for quoted in [
                _code(row[1]) for row in rows(PARTS["It is not asked any more"]) if row[0] == "`quarantined`"
            ]
        )


def test_an_operator_sees_a_plugin_and_releases_it(stack: LiveStack, tmp_path: Path) -> None:
    """State, record, and the release, of the plugin of the page."""
    headers = {"Content-Type": "text/x-python", "Authorization": f"Bearer {stack.admin_token}"}
    answer = requests.put(f"{stack.service_url}/v1/plugins/quiet", data=SOURCE, headers=headers, timeout=30)
    assert answer.status_code == 201, answer.text
    try:
        look, _as_root = blocks(PAGE, "sh")
        (printed,) = Shell(stack, tmp_path).run([look], ADMIN_TOKEN=stack.admin_token)
        shown, audit, released = parsed(printed)
        assert (shown["name"], shown["state"], shown["origin"]) == ("quiet", "running", "upload/quiet.py")
        assert audit["events"][0]["action"] == "plugin.upload"
        assert released["state"] == "running"
        (latest, *_) = stack.api("GET", "/v1/audit", params={"subject": "quiet"}).json()["events"]
        assert latest["action"] == "plugin.release"
    finally:
        stack.api("POST", "/v1/plugins/quiet/disable")
        stack.api("DELETE", "/v1/plugins/quiet")
