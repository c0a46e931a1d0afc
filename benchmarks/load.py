"""A small HTTP/1.1 load generator: N connections, each asking again as soon as it is answered.

Run in a process of its own, so that its work is not counted as the server's: `measure` starts one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Load:
    """What a run saw. `failed` counts answers that did not hold `expect`."""

    rate_per_s: float
    p50_ms: float
    p99_ms: float
    answers: int
    failed: int


class _Connection(asyncio.Protocol):
    def __init__(self, job: _Job) -> None:
        self._job = job
        self._buffer = b""
        self._started = 0.0
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._started = time.perf_counter()
        self._transport.write(self._job.next_request())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or not _is_whole(head.lower(), body):
            return
        self._buffer = b""
        self._job.answered(time.perf_counter() - self._started, body)
        if self._job.is_over():
            self._transport.close()
            self.closed.set()
        else:
            self._ask()


def _is_whole(head: bytes, body: bytes) -> bool:
    # OPA states the length of short answers and sends longer ones in chunks.
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head.split(b"content-length:")[1].split(b"\r\n")[0])


class _Job:
    def __init__(self, spec: dict[str, Any]) -> None:
        self._head = f"POST {spec['path']} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        self._body: str = spec["body"]
        self._expect: bytes = spec["expect"].encode()
        self._ends_at = time.perf_counter() + spec["seconds"]
        self._run = f"{time.time_ns():x}"
        self._serial = 0
        self.times: list[float] = []
        self.failed = 0

    def next_request(self) -> bytes:
        self._serial += 1
        body = self._body.replace("{serial}", f"{self._run}-{self._serial}").encode()
        return f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def answered(self, seconds: float, body: bytes) -> None:
        self.times.append(seconds)
        self.failed += self._expect not in body

    def is_over(self) -> bool:
        return time.perf_counter() >= self._ends_at


async def _run(spec: dict[str, Any]) -> dict[str, Any]:
    job = _Job(spec)
    loop = asyncio.get_running_loop()
    connections = [
        await loop.create_connection(lambda: _Connection(job), spec["host"], spec["port"])
        for _ in range(spec["connections"])
    ]
    for _, connection in connections:
        await connection.closed.wait()
    times = sorted(job.times)
    return {
        "rate_per_s": len(times) / spec["seconds"],
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "answers": len(times),
        "failed": job.failed,
    }


def measure(
    port: int, path: str, body: str, *, connections: int, seconds: float, expect: str, host: str = "127.0.0.1"
) -> Load:
    """Ask `path` for `seconds` over so many connections.

    Args:
        port: where the server listens.
        path: path of the POST.
        body: its JSON; `{serial}` is replaced by something new in each request.
        connections: how many ask at once.
        seconds: how long.
        expect: what every answer must hold to count as right.
        host: address of the server.
    """
    spec = {
        "host": host, "port": port, "path": path, "body": body, "connections": connections, "seconds": seconds,
        "expect": expect,
    }  # fmt: skip
    out = subprocess.run(
        [sys.executable, __file__], input=json.dumps(spec), capture_output=True, text=True, check=True
    ).stdout
    return Load(**json.loads(out))


if __name__ == "__main__":
    import uvloop

    print(json.dumps(uvloop.run(_run(json.load(sys.stdin)))))
