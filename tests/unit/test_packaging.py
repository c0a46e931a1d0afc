"""What ships: compose file, Dockerfile, OPA configuration, examples; all tell the truth."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sark_opa.cost import load_overlay
from sark_opa.evaluation.question import Question
from sark_opa.opa import server
from sark_opa.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compose() -> dict[str, Any]:
    """docker-compose.yml as Docker reads it."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_compose_runs_the_three_parts(compose: dict[str, Any]) -> None:
    """TimescaleDB, the service behind its migrations, OPA behind the service."""
    services = compose["services"]
    assert set(services) == {"postgres", "migrate", "service", "opa"}
    assert services["postgres"]["image"].startswith("timescale/timescaledb:")
    assert services["service"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["opa"]["depends_on"]["service"]["condition"] == "service_healthy"
    for name, service in services.items():
        for dependency in service.get("depends_on", {}):
            assert dependency in services, name


def test_compose_names_existing_files_and_volumes(compose: dict[str, Any]) -> None:
    """Every mounted path exists, every named volume is declared."""
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"], mount
    assert (ROOT / compose["services"]["migrate"]["build"] / "Dockerfile").is_file()


def test_compose_sets_only_what_the_service_reads(compose: dict[str, Any]) -> None:
    """Each SARK_ variable is a setting, with a value it takes."""
    environment = compose["services"]["service"]["environment"]
    known = {f"SARK_{name.upper()}" for name in Settings.model_fields}
    assert set(environment) <= known
    plain = {key.removeprefix("SARK_").lower(): value for key, value in environment.items() if "$" not in str(value)}
    settings = Settings(database_url="postgresql://x", **plain)
    assert (settings.port, str(settings.socket_path)) == (8088, "/run/sark/facts.sock")


def test_compose_gives_opa_what_the_code_gives_it(compose: dict[str, Any]) -> None:
    """The flags are those of `sark_opa.opa.server`, the environment is what the bundle reads."""
    service = compose["services"]["opa"]
    ours = server.command(Path("opa"), bundle=Path("/policy"), address="0.0.0.0:8181")
    flags = {part.split("=")[0] for part in ours if part.startswith("--")}
    theirs = {part.split("=")[0] for part in service["command"] if part.startswith("--")}
    assert theirs - {"--config-file", "--log-level"} <= flags
    assert service["environment"] == server.environment({}, service_socket=Path("/run/sark/facts.sock"))
    assert (
        service["environment"]["SARK_SERVICE_SOCKET"]
        == compose["services"]["service"]["environment"]["SARK_SOCKET_PATH"]
    )


def test_the_images_user_and_the_compose_files_agree(compose: dict[str, Any]) -> None:
    """OPA may open the socket because it runs as the service's user."""
    uid = re.search(r"--uid (\d+)", (ROOT / "Dockerfile").read_text())
    assert uid is not None
    assert compose["services"]["opa"]["user"] == f"{uid[1]}:{uid[1]}"


def test_the_dockerfile_copies_what_exists() -> None:
    """Every COPY from the context names files of the tree."""
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


def test_opa_config_parses() -> None:
    """It is YAML that OPA takes as its configuration; `tests/opa` starts OPA with it."""
    config = yaml.safe_load((ROOT / "opa-config.yaml").read_text())
    assert set(config) <= {
        "services",
        "labels",
        "decision_logs",
        "caching",
        "bundles",
        "default_decision",
        "status",
        "server",
        "persistence_directory",
    }


def test_examples_are_valid() -> None:
    """The example question is one, the example prices are too."""
    question = yaml.safe_load((ROOT / "examples/question.json").read_text())["input"]
    assert Question.model_validate(question).principal.org == "acme"
    assert load_overlay(ROOT / "examples/prices.yaml").resources


def test_secrets_are_masked() -> None:
    """Neither printing nor logging the settings shows a password."""
    settings = Settings(database_url="postgresql://u:hunter2@h/d")
    assert "hunter2" not in f"{settings!r} {settings!s} {settings.model_dump()}"
