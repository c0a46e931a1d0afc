"""The wheel: built from the tree, it carries all that the tree has, and works where the tree is not."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel unpacks to, and nothing else."""
    built = tmp_path_factory.mktemp("wheel")
    # The build backend itself, so that nothing is fetched.
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_it_carries_rego_sql_and_plugins(installed: Path) -> None:
    """Every file of the three folders, byte for byte."""
    for folder in ("rego", "sql", "plugins"):
        files = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert files
        for path in files:
            carried = installed / "sark_opa" / "_bundled" / path.relative_to(ROOT)
            assert carried.read_bytes() == path.read_bytes(), path


def test_the_demo_runs_from_it_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """All outcomes are as stated; the code and the data are the wheel's, and the folder stays empty."""
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", "COLUMNS": "200"}
    where = subprocess.run(
        [sys.executable, "-c", "from sark_opa import bundled; print(bundled.folder('rego'))"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed)
    shown = subprocess.run(
        [sys.executable, "-m", "sark_opa", "demo"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "outcomes are as stated" in shown.stdout
    assert list(tmp_path.iterdir()) == []
