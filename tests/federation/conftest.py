"""Fixtures of the federation's tests: members whose databases are made once and emptied for each test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fixtures.database import Clock
from fixtures.federation import World, world_of

NOON = datetime(2024, 5, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
async def two_members(anyio_backend: str, server_url: str, template_database: str) -> Any:
    """Their databases."""
    async with world_of(server_url, template_database, Clock(NOON), ("acme", "globex")) as world:
        yield world


@pytest.fixture(scope="session")
async def three_members(anyio_backend: str, server_url: str, template_database: str) -> Any:
    """Their databases."""
    async with world_of(server_url, template_database, Clock(NOON), ("acme", "globex", "initech")) as world:
        yield world


@pytest.fixture
async def world(two_members: World) -> World:
    """Two members that know each other, `acme` and `globex`."""
    two_members.clock.at = NOON
    await two_members.reset()
    return two_members


@pytest.fixture
async def trio(three_members: World) -> World:
    """Three members that know each other: `initech`, too."""
    three_members.clock.at = NOON
    await three_members.reset()
    return three_members
