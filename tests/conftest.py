"""Fixtures of all tests: each family lives in a module of tests/fixtures."""

import pytest

pytest_plugins = [
    "fixtures.database",
    "fixtures.exports",
    "fixtures.objects",
    "fixtures.opa",
    "fixtures.plugins",
    "fixtures.redis",
    "fixtures.spooling",
    "fixtures.stack",
    "fixtures.tiers",
]


@pytest.fixture(scope="session")
def anyio_backend():
    """Asynchronous tests run on asyncio alone, as the service does."""
    return "asyncio"
