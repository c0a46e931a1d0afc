"""Natural group commit: whatever queued while a statement was in flight goes into the next one.

There is no timer: alone, a request is sent at once; under load, batches grow to what arrives during one statement.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sark_opa.errors import DeadlineExceededError, OrgMovingError, OverloadedError, SarkError, UnavailableError

Answer = TypeVar("Answer")
Key = tuple[str, str]


class _Waiting(Generic[Answer]):
    """One request in the queue."""

    __slots__ = ("answer", "key", "payload")

    def __init__(self, key: Key, payload: bytes, answer: asyncio.Future[Answer]) -> None:
        self.key = key
        self.payload = payload
        self.answer = answer


class Batcher(Generic[Answer]):
    """A queue in front of one kind of array statement; one statement is in flight at a time.

    Args:
        send: takes the keys and payloads of a batch and gives one answer for each, in order, or an error for all.
        size_max: requests in one statement at most.
        queue_max: requests that may wait at most.
        abandoned: told of an answer whose asker has gone while the statement was in flight.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Key], Sequence[bytes]], Awaitable[Sequence[Answer]]],
        *,
        size_max: int,
        queue_max: int,
        abandoned: Callable[[Key, Answer], None] | None = None,
    ) -> None:
        self._abandoned = abandoned
        self._send = send
        self._size_max = size_max
        self._queue_max = queue_max
        self._queue: deque[_Waiting[Answer]] = deque()
        self._drain: asyncio.Task[None] | None = None

    async def ask(self, key: Key, payload: bytes, deadline_s: float | None) -> Answer:
        """The answer to one request.

        Args:
            key: org and request_id. Two requests of one key never share a statement: the second sees the first's end.
            payload: the request as JSON.
            deadline_s: how long to wait. Past it the request is taken back if it has not been sent yet.

        Raises:
            OverloadedError: too many requests wait already.
            DeadlineExceededError: past `deadline_s`.
            SarkError: what the statement failed with.
        """
        if len(self._queue) >= self._queue_max:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Answer] = _Waiting(key, payload, loop.create_future())
        self._queue.append(waiting)
        if self._drain is None:
            self._drain = loop.create_task(self._send_all(), name="ledger batch")
        if deadline_s is None:
            return await waiting.answer
        # A timer of the loop and not asyncio.timeout: there is one for each request of a batch.
        timer = loop.call_later(deadline_s, _fail, waiting, DeadlineExceededError())
        try:
            return await waiting.answer
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Wait for what has been asked."""
        while self._drain is not None:
            await asyncio.wait({self._drain})

    async def _send_all(self) -> None:
        batch: list[_Waiting[Answer]] = []
        try:
            while self._queue:
                if batch := self._next_batch():
                    await self._send_batch(batch)
        finally:
            self._drain = None
            broken = UnavailableError("the ledger broke while it was asked")
            for waiting in (*batch, *self._queue):  # unanswered only then; nobody waits for ever
                _fail(waiting, broken)
            self._queue.clear()

    def _next_batch(self) -> list[_Waiting[Answer]]:
        batch: list[_Waiting[Answer]] = []
        keys: set[Key] = set()
        later: list[_Waiting[Answer]] = []
        while self._queue and len(batch) < self._size_max:
            waiting = self._queue.popleft()
            if waiting.answer.done():  # its caller has gone
                continue
            if waiting.key in keys:
                later.append(waiting)
                continue
            keys.add(waiting.key)
            batch.append(waiting)
        self._queue.extendleft(reversed(later))
        return batch

    async def _send_batch(self, batch: list[_Waiting[Answer]]) -> None:
        try:
            answers = await self._send([waiting.key for waiting in batch], [waiting.payload for waiting in batch])
        except UnavailableError as error:
            refused = _refused(batch, error)
            for waiting in refused:
                _fail(waiting, error)
            if len(refused) < len(batch):
                await self._send_batch([waiting for waiting in batch if waiting not in refused])
        except SarkError as error:
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for waiting in batch:  # one of them cannot be taken: alone, it fails alone
                await self._send_batch([waiting])
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                self._answer(waiting, answer)

    def _answer(self, waiting: _Waiting[Answer], answer: Answer) -> None:
        if not waiting.answer.done():
            waiting.answer.set_result(answer)
        elif self._abandoned is not None:
            self._abandoned(waiting.key, answer)


def _refused(batch: list[_Waiting[Answer]], error: UnavailableError) -> list[_Waiting[Answer]]:
    """Those an error is about: the requests of an org that is being moved, or all of them."""
    if isinstance(error, OrgMovingError):
        return [waiting for waiting in batch if waiting.key[0] == error.details.get("org")] or batch
    return batch


def _fail(waiting: _Waiting[Answer], error: SarkError) -> None:
    if not waiting.answer.done():
        # Each waiter gets an exception of its own: a traceback must not grow with the number of waiters.
        waiting.answer.set_exception(type(error)(error.message, **error.details))
