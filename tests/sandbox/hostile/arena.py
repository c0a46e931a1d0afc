"""Where attacks are run: a host, a neighbour that is asked all the while, and things worth stealing or breaking."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from fixtures.plugins import ask, descriptors, processes_of, question, source_of
from sandbox.hostile.catalogue import LOAD_ERROR, Attack

from sark_opa.errors import PluginError
from sark_opa.sandbox import PluginHost, Verdict
from sark_opa.sandbox.guest.walls.basic import UID_COUNT, UID_FIRST

SECRET: Final = "hunter2-do-not-tell"
VARIABLE: Final = "SARK_HOSTILE_SECRET"
NEIGHBOUR: Final = "neighbour"
LAG_S_MAX: Final = 5.0
"""The service's loop may be late by this much on a busy machine; an attack that holds it up does so for ever."""
# It allows what the attack is asked too, and denies what is asked while the attack runs: so the chain ends there.
_NEIGHBOURS_BODY: Final = """
alone = context.action == "alone"
return PolicyDecision(not alone, context.principal_id, {"remembers": self.config["secret"], "calls": self.calls})
"""


@dataclass
class Seen:
    """What became of an attack.

    Attributes:
        statuses: of the verdicts, in order; `load_error` when it did not load.
        reason: of the last one, or the error's text.
        then: the status of the one more question.
        text: everything that came out, to be searched for loot.
        breaches: what should not have happened.
    """

    statuses: list[str] = field(default_factory=list)
    reason: str = ""
    then: str = ""
    text: str = ""
    breaches: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Note a verdict of the attack."""
        self.statuses.append(verdict.status)
        self.reason = verdict.reason
        # Its output counts too: for an error it holds the traceback, which quotes the attack's own source.
        told = verdict.output if verdict.status == "ok" else ""
        self.text += repr((dataclasses.replace(verdict, output=""), told))
        if verdict.status != "ok" and verdict.allowed:
            self.breaches.append(f"a failure permits: {verdict}")


class Canaries:
    """A file, a variable, a TCP port and an abstract socket that nobody may touch."""

    def __init__(self) -> None:
        # Where every user of the machine may go: what keeps an attack away is then not the file's permission.
        self.folder = Path(tempfile.mkdtemp(prefix="sark-hostile-"))
        self.folder.chmod(0o777)
        self.file = self.folder / "secret"
        self.file.write_text(SECRET, encoding="utf-8")
        self.abstract = f"sark-hostile-{os.getpid()}-{id(self):x}"
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port: int = self._tcp.getsockname()[1]
        self._udp.bind(("127.0.0.1", self.port))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind("\0" + self.abstract)
        self._unix.listen()
        for listener in (self._tcp, self._udp, self._unix):
            listener.settimeout(0)
        self._ipc = _ipc()
        os.environ[VARIABLE] = SECRET

    def close(self) -> None:
        """Take them away."""
        os.environ.pop(VARIABLE)
        shutil.rmtree(self.folder)
        for listener in (self._tcp, self._udp, self._unix):
            listener.close()

    def restore(self) -> None:
        """Make good what was done to the folder."""
        for path in self.folder.iterdir():
            if path != self.file:
                path.unlink()

    def disturbed(self) -> list[str]:
        """What was done to them."""
        done = []
        if [path.name for path in self.folder.iterdir()] != ["secret"]:
            done.append(f"the folder holds {[path.name for path in self.folder.iterdir()]}")
        elif self.file.read_text(encoding="utf-8") != SECRET:
            done.append("the file is another one")
        for kind, listener in (("TCP", self._tcp), ("unix", self._unix)):
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                continue
            done.append(f"somebody connected by {kind}")
        with suppress(BlockingIOError):
            done.append(f"somebody sent {self._udp.recv(64)!r}")
        done += [f"left behind: {line}" for line in _ipc() if line not in self._ipc]
        return done


def _ipc() -> list[str]:
    """System V memory, semaphores and messages that a plugin's user has made."""
    made = []
    for kind in ("shm", "sem", "msg"):
        head, *lines = Path(f"/proc/sysvipc/{kind}").read_text(encoding="ascii").splitlines()
        uid = head.split().index("cuid")
        made += [f"{kind}: {line}" for line in lines if 0 <= int(line.split()[uid]) - UID_FIRST < UID_COUNT]
    return made


class Arena:
    """A host with a neighbour in it."""

    def __init__(self, host: PluginHost, canaries: Canaries, folder: Path) -> None:
        self.host = host
        self.canaries = canaries
        self.folder = folder
        self.zygote_pid = 0
        self.neighbour_pid = 0

    async def open(self) -> None:
        """Move the neighbour in."""
        path = self.folder / f"{NEIGHBOUR}.py"
        path.write_text(source_of(_NEIGHBOURS_BODY, name=NEIGHBOUR, priority=1), encoding="utf-8")
        await self.host.load(path, config={"secret": SECRET})
        self.zygote_pid = self.host._spawner._running().pid
        self.neighbour_pid = (await processes_of(self.host, 1))[0].pid

    def _question(self, attack: Attack, principal_id: str) -> Any:
        given = {
            "service_pid": os.getpid(),
            "zygote_pid": self.zygote_pid,
            "peer_pid": self.neighbour_pid,
            "port": self.canaries.port,
            "abstract": self.canaries.abstract,
            "file": str(self.canaries.file),
            "folder": str(self.canaries.folder),
            "variable": VARIABLE,
        }
        return question(principal_id, arguments=given, capability_id=attack.name)

    async def run(self, attack: Attack) -> Seen:
        """Load it, ask it, and look at what else happened meanwhile and is left."""
        seen = Seen()
        descriptors_before = descriptors()
        path = self.folder / f"{attack.key}.py"
        path.write_text(attack.source, encoding="utf-8", errors="surrogateescape")
        async with self._watching(seen):
            try:
                await self.host.load(path)
            except PluginError as error:
                seen.statuses.append(LOAD_ERROR)
                seen.reason = str(error)
                seen.text = seen.reason
            else:
                try:
                    await self._ask(attack, seen)
                finally:
                    await self.host.unload(attack.name)
        await self._look_around(seen, descriptors_before)
        return seen

    async def _ask(self, attack: Attack, seen: Seen) -> None:
        for _ in range(attack.calls):
            *before, verdict = await ask(self.host, self._question(attack, "attack"), deadline_s=60)
            seen.add(verdict)
            if [(other.plugin, other.status, other.allowed) for other in before] != [(NEIGHBOUR, "ok", True)]:
                seen.breaches.append(f"the neighbour answered {before}")
            if verdict.status != "ok":
                break
        if attack.then:
            await asyncio.sleep(attack.pause_s)
            verdict = (await ask(self.host, self._question(attack, "after"), deadline_s=60))[-1]
            statuses = list(seen.statuses)
            reason = seen.reason
            seen.add(verdict)
            seen.statuses, seen.reason, seen.then = statuses, reason, verdict.status

    async def _look_around(self, seen: Seen, descriptors_before: int) -> None:
        # The attack's own text names the word, and an error at loading may quote a line of it.
        loot = [word for word in ("ESCAPED", SECRET) if word in seen.text]
        if loot and seen.statuses != [LOAD_ERROR]:
            seen.breaches.append(f"it got {loot}: {seen.text[:500]}")
        seen.breaches += self.canaries.disturbed()
        await self.host.ping()
        (neighbour,) = await processes_of(self.host, 1)
        if neighbour.pid != self.neighbour_pid:
            seen.breaches.append("the neighbour has another process")
        if self.host._spawner._running().pid != self.zygote_pid:
            seen.breaches.append("there is another zygote")
        for _ in range(500):
            if descriptors() <= descriptors_before:
                break
            await asyncio.sleep(0.01)
        else:
            seen.breaches.append(f"{descriptors() - descriptors_before} descriptors are left over")
        if psutil.Process().nice() != 0:
            seen.breaches.append("the service's priority is another one")

    @asynccontextmanager
    async def _watching(self, seen: Seen) -> AsyncIterator[None]:
        """Ask the neighbour all the while, and measure how late the loop is."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(seen, over))
            try:
                yield
            finally:
                over.set()

    async def _watch(self, seen: Seen, over: asyncio.Event) -> None:
        number = 0
        while number == 0 or not over.is_set():
            number += 1
            started = time.monotonic()
            await asyncio.sleep(0.001)
            late_s = time.monotonic() - started
            name = f"witness-{number}"
            verdicts = await ask(self.host, question(name, action="alone"), deadline_s=60)
            told = [(v.plugin, v.status, v.allowed, v.reason, v.metadata.get("remembers")) for v in verdicts]
            if told != [(NEIGHBOUR, "ok", False, name, SECRET)]:
                seen.breaches.append(f"while it ran, the neighbour answered {told}")
                return
            if late_s > LAG_S_MAX:
                seen.breaches.append(f"the service's loop was held up for {late_s:.1f} s")
                return
            await asyncio.sleep(0.01)
