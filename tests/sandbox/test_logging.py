"""What a plugin logs is written by the service, as the plugin's; what it prints is not."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from fixtures.plugins import ask, question, source_of

pytestmark = pytest.mark.anyio

ALLOW = "return PolicyDecision(True, 'yes')"


def lines_of(captured: list) -> list[tuple[str, str]]:
    """Level and message of the lines a plugin logged."""
    return [(line["log_level"], line["message"]) for line in captured if line["event"] == "plugin_log"]


async def test_a_line_is_written_with_its_level_and_its_plugin(shared_host, write_plugin):
    """From INFO on, whichever logger it came through; its arguments are filled in, prints stay in the verdict."""
    await shared_host.load(
        write_plugin(
            "import logging\nlog = logging.getLogger('of.my.own')\nlog.debug('unseen')\nprint('printed')\n"
            "log.info('asked by %s', context.principal_id)\nlogging.warning('two\\nlines \\x1b[31m')\n"
            f"log.error('e')\nlog.critical('c')\n{ALLOW}"
        )
    )
    with structlog.testing.capture_logs() as lines:
        (verdict,) = await ask(shared_host)
    assert lines_of(lines) == [
        ("info", "asked by user-1"), ("warning", "two\\nlines \\x1b[31m"), ("error", "e"), ("critical", "c"),
    ]  # fmt: skip
    assert {(line["plugin"], line["version"]) for line in lines} == {("written", "1.0.0")}
    assert verdict.output == "printed\n"
    assert "printed" not in repr(lines)


async def test_an_exception_is_named_and_not_quoted(shared_host, write_plugin):
    """Neither in what is logged with it nor when it ends the call; lines before it are written all the same."""
    await shared_host.load(
        write_plugin(
            "import logging\ntry: raise KeyError('a secret prompt')\nexcept KeyError: logging.exception('went wrong')\n"
            "raise ValueError('another secret')"
        )
    )
    with structlog.testing.capture_logs() as lines:
        (verdict,) = await ask(shared_host)
    assert verdict.status == "error"
    assert lines_of(lines) == [("error", "went wrong (KeyError)")]
    assert "secret" not in repr(lines)


async def test_a_line_that_cannot_be_worded_costs_nothing(shared_host, write_plugin):
    """Arguments that do not fit are shown to the author in the output, as Python does; the decision stands."""
    await shared_host.load(write_plugin(f"import logging\nlogging.error('%d calls', 'many')\n{ALLOW}"))
    with structlog.testing.capture_logs() as lines:
        (verdict,) = await ask(shared_host)
    assert (verdict.status, lines) == ("ok", [])
    assert "--- Logging error ---" in verdict.output


async def test_a_call_logs_twenty_lines_and_four_kilobytes(shared_host, write_plugin):
    """The rest is dropped in the plugin's own process; the next call may log as much again."""
    await shared_host.load(
        write_plugin(
            "import logging\n"
            "for number in range(100):\n"
            "    logging.warning(f'{number} ' + ('\\ud800' * 5_000 if context.principal_id == 'long' else ''))\n"
            + ALLOW
        )
    )
    with structlog.testing.capture_logs() as lines:
        assert [verdict.status for verdict in await ask(shared_host)] == ["ok"]
        assert [verdict.status for verdict in await ask(shared_host, question("long"))] == ["ok"]
    short, long = lines_of(lines)[:20], lines_of(lines)[20:]
    assert [message for _, message in short] == [f"{number} " for number in range(20)]
    assert [len(message) for _, message in long] == [4_096]
    assert long[0][1].startswith("0 \\ud800\\ud800")


async def test_a_noisy_plugin_is_cut_short(shared_host, write_plugin):
    """Fifty lines at once and ten a second, over any number of calls; unloading it tells how many there were more."""
    await shared_host.load(
        write_plugin("import logging\nfor number in range(20): logging.warning('x' * 200)\n" + ALLOW)
    )
    with structlog.testing.capture_logs() as lines:
        await asyncio.gather(*(ask(shared_host) for _ in range(30)))
        await shared_host.unload("written")
    written = len(lines_of(lines))
    assert 50 <= written < 100
    assert sum(line["lines"] for line in lines if line["event"] == "plugin_log_suppressed") == 600 - written


async def test_what_is_logged_while_loading_comes_with_the_first_answer(shared_host, tmp_path):
    """There is no other message it could travel with."""
    path = tmp_path / "written.py"
    path.write_text(
        source_of(ALLOW) + "\n    async def on_load(self):\n        import logging\n        logging.info('loading')\n"
    )
    with structlog.testing.capture_logs() as lines:
        await shared_host.load(path)
        assert lines == []
        await ask(shared_host)
    assert lines_of(lines) == [("info", "loading")]


FORGED = """
msgspec = reach('msgspec')
def send(answer):
    reply = msgspec.msgpack.encode(answer)
    frame = len(reply).to_bytes(4, 'big') + reply
    reach('ctypes').CDLL(None).send(3, frame, len(frame), 0)
send(['answer', 2, 'ok', True, '', {}, '', LOGGED])
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("logged", "reason"),
    [
        ("[['info', 'x']] * 21", "Expected `array` of length <= 20"),
        ("[['info', 'x' * 2_049]] * 2", "it logged more than 4096 characters"),
        ("[['shout', 'x']]", "Invalid enum value 'shout'"),
        ("[['info', 5]]", "Expected `str`, got `int`"),
        ("'text'", "Expected `array`, got `str`"),
    ],
)
async def test_more_or_other_than_may_be_logged_is_a_violation(shared_host, write_plugin, logged, reason):
    """The service counts itself: the process only says what it likes."""
    body = FORGED.replace("LOGGED", logged)
    await shared_host.load(write_plugin(body))
    with structlog.testing.capture_logs() as lines:
        (verdict,) = await ask(shared_host)
    assert (verdict.status, verdict.allowed) == ("violation", False)
    assert reason in verdict.reason
    assert lines_of(lines) == []
