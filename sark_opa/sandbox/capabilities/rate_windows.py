"""Sliding windows that plugins count calls in: in this process, or in a Redis or Valkey all replicas share.

Every plugin has windows of its own, named by key and length. The limit is not part of the name: a limit that
changes from hit to hit, as an adaptive one does, must not start a window anew.
"""

from __future__ import annotations

import hashlib
import importlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from limits.aio.storage import RedisStorage
from limits.errors import ConfigurationError as LimitsConfigurationError
from limits.errors import StorageError

from sark_opa.errors import ConfigurationError
from sark_opa.sandbox.calls import Fault
from sark_opa.sandbox.capabilities.memory import MemoryWindows, WindowsFullError

PREFIX: Final = "sark"
CONNECTIONS_MAX: Final = 64
CONNECT_S_MAX: Final = 0.2
_REDIS_SCHEMES: Final = {"redis", "rediss", "redis+unix", "valkey", "valkeys", "valkey+unix"}


class WindowFaultError(Exception):
    """The store did not do it; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class WindowState:
    """What became of a hit. Fields as `RateHit` of the plugin's API; `reset_s` in seconds."""

    allowed: bool
    remaining: int
    reset_s: float


class Store(Protocol):
    """What keeps windows: the part of `limits.aio` storages for its moving window strategy."""

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add `amount` entries if there are then at most `limit` younger than `expiry` seconds."""
        ...

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest of the youngest `limit` entries was made, as `time.time`, and how many there are."""
        ...


class PluginWindows:
    """The windows of one plugin."""

    def __init__(self, plugin: str, store: Store, clock: Callable[[], float]) -> None:
        self._plugin = plugin
        self._store = store
        self._clock = clock

    async def hit(self, key: bytes, *, limit: int, window_s: int, cost: int) -> WindowState:
        """Count a hit of `cost` if the window has room for it.

        Raises:
            WindowFaultError: it is not counted, or nobody knows.
        """
        name = self._name(key, window_s)
        try:
            allowed = await self._store.acquire_entry(name, limit, window_s, cost)
            state = await self._store.get_moving_window(name, limit, window_s)
        except (StorageError, OSError, WindowsFullError) as error:
            raise _fault(error) from error
        return self._state(state, limit, window_s, allowed=allowed)

    async def peek(self, key: bytes, *, limit: int, window_s: int, cost: int) -> WindowState:
        """What a hit would get.

        Raises:
            WindowFaultError: it cannot be found out.
        """
        try:
            state = await self._store.get_moving_window(self._name(key, window_s), limit, window_s)
        except (StorageError, OSError) as error:
            raise _fault(error) from error
        return self._state(state, limit, window_s, allowed=state[1] + cost <= limit)

    def _name(self, key: bytes, window_s: int) -> str:
        digest = hashlib.blake2b(b"%d:%s" % (window_s, key), digest_size=16).hexdigest()
        return f"{self._plugin}:{digest}"

    def _state(self, window: tuple[float, int], limit: int, window_s: int, *, allowed: bool) -> WindowState:
        oldest_at, count = window
        reset_s = max(0.0, oldest_at + window_s - self._clock()) if count else 0.0
        return WindowState(allowed, max(0, limit - count), round(reset_s, 6))


class RateWindows:
    """The windows of all plugins. Without a shared store each plugin has a bounded one in memory."""

    def __init__(self, shared: Store | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._shared = shared
        self._clock = clock
        self._in_memory: dict[str, MemoryWindows] = {}

    def of(self, plugin: str) -> PluginWindows:
        """Those of one plugin; the same ones each time, so that loading it anew forgets nothing."""
        if self._shared is not None:
            return PluginWindows(plugin, self._shared, self._clock)
        memory = self._in_memory.setdefault(plugin, MemoryWindows(self._clock))
        return PluginWindows(plugin, memory, memory.now)

    def clear(self) -> None:
        """Forget what is in memory; plugins go on in new windows when they are loaded the next time."""
        self._in_memory.clear()


@asynccontextmanager
async def rate_windows(url: str) -> AsyncIterator[RateWindows]:
    """Windows in memory for `memory://`, else in the Redis or Valkey at `url`, which need not be there yet.

    Raises:
        ConfigurationError: the URL or the installation is not as it must be; says what to do.
    """
    scheme, separator, _ = url.partition("://")
    if scheme == "memory":
        yield RateWindows()
        return
    if not separator or scheme not in _REDIS_SCHEMES:
        allowed = ", ".join(sorted(_REDIS_SCHEMES))
        raise ConfigurationError(f"SARK_RATE_WINDOW_URL: a URL that starts with memory, {allowed} is needed")
    storage = _redis_storage(url.replace("valkey", "redis", 1))
    try:
        yield RateWindows(storage)
    finally:
        await storage.bridge.get_connection().aclose()


def _redis_storage(url: str) -> Any:
    try:
        importlib.import_module("redis")
        return RedisStorage(
            f"async+{url}",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=PREFIX,
            max_connections=CONNECTIONS_MAX,
            socket_connect_timeout=CONNECT_S_MAX,
        )
    except ImportError as error:
        raise ConfigurationError(
            "SARK_RATE_WINDOW_URL needs the redis package: pip install 'sark-opa[redis]'"
        ) from error
    except (LimitsConfigurationError, ValueError):
        # What is wrong with it may be the password, so nothing of it is told.
        raise ConfigurationError("SARK_RATE_WINDOW_URL: it cannot be read as a URL") from None


def _fault(error: Exception) -> WindowFaultError:
    return WindowFaultError("overloaded" if isinstance(error, WindowsFullError) else "unavailable")
