"""Group commit without a database: what shares a statement, who is told what, and what is given back."""

from __future__ import annotations

import asyncio

import pytest

from sark_opa.errors import (
    DatabaseUnavailableError,
    DeadlineExceededError,
    InvalidInputError,
    OverloadedError,
    UnavailableError,
)
from sark_opa.storage.batch import Batcher

pytestmark = pytest.mark.anyio


class Server:
    """Takes batches as the database would: one at a time, each when the test says so."""

    def __init__(self, **settings):
        self.batches = []
        self.abandoned = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error = None
        self.batcher = Batcher(
            self.send, **({"size_max": 64, "queue_max": 100} | settings),
            abandoned=lambda key, answer: self.abandoned.append((key, answer)),
        )  # fmt: skip

    async def send(self, _keys, payloads):
        """Answer each payload with itself in capitals; fail as `error` says."""
        self.batches.append(list(payloads))
        await self.gate.wait()
        if self.error is not None and (error := self.error(payloads)) is not None:
            raise error
        return [payload.upper() for payload in payloads]

    def ask(self, name, *, key=None, deadline_s=None):
        """One request, as a task; keys differ unless given."""
        key = ("acme", key or name)
        return asyncio.ensure_future(self.batcher.ask(key, name.encode(), deadline_s))


async def settled(*tasks):
    """Answers and errors."""
    return await asyncio.gather(*tasks, return_exceptions=True)


async def until_sent():
    """Let whatever can run, run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_alone_a_request_is_sent_at_once():
    """There is no timer to wait for."""
    server = Server()
    assert await server.ask("a") == b"A"
    assert await server.ask("b") == b"B"
    assert server.batches == [[b"a"], [b"b"]]


async def test_what_queued_meanwhile_shares_the_next_statement():
    """While one statement is in flight, all others wait and go together, in order of arrival."""
    server = Server()
    server.gate.clear()
    first = server.ask("a")
    await until_sent()
    rest = [server.ask(name) for name in "bcd"]
    await until_sent()
    assert server.batches == [[b"a"]]
    server.gate.set()
    assert await settled(first, *rest) == [b"A", b"B", b"C", b"D"]
    assert server.batches == [[b"a"], [b"b", b"c", b"d"]]


async def test_a_statement_takes_no_more_than_it_may():
    """Seven requests at three a statement are three statements."""
    server = Server(size_max=3)
    assert await settled(*(server.ask(name) for name in "abcdefg")) == [name.encode() for name in "ABCDEFG"]
    assert [len(batch) for batch in server.batches] == [3, 3, 1]


async def test_two_requests_of_one_key_never_share_a_statement():
    """The second one sees what became of the first; others are not held up, and the order of a key is kept."""
    server = Server()
    tasks = [server.ask("a1", key="a"), server.ask("a2", key="a"), server.ask("b"), server.ask("a3", key="a")]
    assert await settled(*tasks) == [b"A1", b"A2", b"B", b"A3"]
    assert server.batches == [[b"a1", b"b"], [b"a2"], [b"a3"]]


async def test_past_the_queue_limit_requests_are_turned_away():
    """Who comes when too many wait is told at once; those that wait are served."""
    server = Server(queue_max=2)
    server.gate.clear()
    flying = server.ask("a")
    await until_sent()
    waiting = [server.ask(name) for name in "bc"]
    await until_sent()
    with pytest.raises(OverloadedError):
        await server.ask("d")
    server.gate.set()
    assert await settled(flying, *waiting) == [b"A", b"B", b"C"]
    assert await server.ask("d") == b"D"


async def test_past_its_deadline_a_request_that_waits_is_taken_back():
    """It is never sent, so nothing has to be given back."""
    server = Server()
    server.gate.clear()
    flying = server.ask("a")
    await until_sent()
    with pytest.raises(DeadlineExceededError):
        await server.ask("b", deadline_s=0.01)
    server.gate.set()
    assert await flying == b"A"
    assert await server.ask("c") == b"C"
    assert server.batches == [[b"a"], [b"c"]]
    assert server.abandoned == []


@pytest.mark.parametrize("how", ["deadline", "cancelled"])
async def test_an_answer_whose_asker_has_gone_is_told(how):
    """In flight already, it cannot be taken back: whoever asked for the batcher learns what was granted."""
    server = Server()
    server.gate.clear()
    task = server.ask("a", deadline_s=0.01 if how == "deadline" else None)
    other = server.ask("b")
    await until_sent()
    if how == "cancelled":
        task.cancel()
    with pytest.raises((DeadlineExceededError, asyncio.CancelledError)):
        await task
    server.gate.set()
    assert await other == b"B"
    assert server.abandoned == [(("acme", "a"), b"A")]


async def test_one_bad_request_fails_alone():
    """A statement that is refused is sent again one by one: only the request that spoils it fails."""
    server = Server()
    server.error = lambda payloads: InvalidInputError("bad", path="b") if b"b" in payloads else None
    answers = await settled(*(server.ask(name) for name in "abc"))
    assert (answers[0], answers[2]) == (b"A", b"C")
    assert isinstance(answers[1], InvalidInputError)
    assert (answers[1].message, answers[1].details) == ("bad", {"path": "b"})
    assert server.batches == [[b"a", b"b", b"c"], [b"a"], [b"b"], [b"c"]]


@pytest.mark.parametrize("error", [DatabaseUnavailableError, DeadlineExceededError, OverloadedError])
async def test_a_database_that_does_not_answer_is_not_asked_again_for_each(error):
    """Everybody in the statement is told at once, each by an error of its own."""
    server = Server()
    server.error = lambda _: error("gone")
    answers = await settled(*(server.ask(name) for name in "abc"))
    assert [type(answer) for answer in answers] == [error] * 3
    assert len({id(answer) for answer in answers}) == 3
    assert len(server.batches) == 1
    server.error = None
    assert await server.ask("d") == b"D"


async def test_nobody_waits_for_ever_when_something_breaks():
    """An error nobody foresaw: those in flight and those in the queue are told, and the next request is served."""
    server = Server(size_max=1)
    server.error = lambda _: ZeroDivisionError()
    server.gate.clear()
    tasks = [server.ask(name) for name in "ab"]
    await until_sent()
    drain = server.batcher._drain
    server.gate.set()
    with pytest.raises(ZeroDivisionError):
        await drain
    assert [type(answer) for answer in await settled(*tasks)] == [UnavailableError] * 2
    server.error = None
    assert await server.ask("c") == b"C"


async def test_closing_waits_for_what_was_asked():
    """What is in the queue is still sent."""
    server = Server(size_max=1)
    server.gate.clear()
    tasks = [server.ask(name) for name in "abc"]
    await until_sent()
    closing = asyncio.ensure_future(server.batcher.close())
    await until_sent()
    assert not closing.done()
    server.gate.set()
    await closing
    assert [task.result() for task in tasks] == [b"A", b"B", b"C"]
