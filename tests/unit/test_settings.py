"""Settings: what is missing or wrong is named by its variable, and secrets are not shown."""

from __future__ import annotations

import os
from typing import Any

import pytest
from pydantic import ValidationError

from sark_opa.errors import ConfigurationError
from sark_opa.settings import Settings, load

URL = "postgresql://sark:hunter2@db/sark"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this session's own settings are."""
    for name in [name for name in os.environ if name.startswith("SARK_")]:
        monkeypatch.delenv(name)


def test_only_the_database_has_to_be_given() -> None:
    """Everything else has a default, and the defaults are within their own bounds."""
    with pytest.raises(ConfigurationError, match=r"^settings: SARK_DATABASE_URL: Field required$"):
        load()
    settings = load(database_url=URL)
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert getattr(settings, name) == field.default or name == "database_url"


def test_a_variable_is_read_and_an_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is none, an argument of None is left out."""
    monkeypatch.setenv("SARK_DATABASE_URL", URL)
    monkeypatch.setenv("SARK_PORT", "9000")
    monkeypatch.setenv("SARK_HOST", "")
    monkeypatch.setenv("SARK_PLUGINS", " rate_limit, ./mine ,,")
    settings = load(port=None)
    assert (settings.port, settings.host, settings.plugins) == (9000, "127.0.0.1", ("rate_limit", "./mine"))
    assert load(port=9001).port == 9001


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70_000}, {"pool_size_max": 0}, {"pool_size_max": 17}, {"batch_size_max": 129},
        {"socket_mode": "0o600"}, {"socket_mode": "0999"}, {"log_level": "loud"}, {"unknown_orgs": "maybe"},
        {"expire_interval_s": 0}, {"facts_deadline_ms": 1}, {"token_refresh_s": float("nan")}, {"body_bytes_max": 10},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_value_is_named(wrong: dict[str, Any]) -> None:
    """By its variable, without the value: it may have been meant for another."""
    (name,) = wrong
    with pytest.raises(ConfigurationError) as refused:
        load(database_url=URL, **wrong)
    assert f"SARK_{name.upper()}: " in refused.value.message
    assert "hunter2" not in refused.value.message


def test_a_hold_may_not_live_longer_than_it_may() -> None:
    """Otherwise each hold that states no life of its own would be refused, one by one."""
    with pytest.raises(ConfigurationError, match=r"SARK_HOLD_TTL_S is 60, above SARK_HOLD_TTL_S_MAX, 59"):
        load(database_url=URL, hold_ttl_s=60, hold_ttl_s_max=59)
    assert load(database_url=URL, hold_ttl_s=60, hold_ttl_s_max=60).hold_ttl_s == 60


def test_the_password_is_not_shown() -> None:
    """Nor can a setting be changed once it is read."""
    settings = load(database_url=URL)
    assert "hunter2" not in repr(settings) + str(settings)
    assert settings.database_url.get_secret_value() == URL
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]  # what this test is about
