"""Fixtures of all tests: each family lives in a module of tests/fixtures."""

import hypothesis
import pytest
import structlog

hypothesis.settings.register_profile("untimed", deadline=None)  # no test is a matter of time: machines are shared
hypothesis.settings.load_profile("untimed")

pytest_plugins = [
    "docs.commands",
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


@pytest.fixture(autouse=True)
def _logs_as_they_were():
    """A command that is run inside the tests' process sets up its logs, and the next test's too if it stayed so."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
