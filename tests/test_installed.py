"""Ritz as others have it: a wheel in an environment of its own, and a checkout that lacks what it needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.command import SMALL, started
from tests.rooms import ROOMS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, which is built in a copy: what setuptools leaves behind shall not lie here."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    nothing = shutil.ignore_patterns("__pycache__")
    for folder in ("ritz", *ROOMS):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=nothing)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, "--wheel-dir", target, source], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    [built] = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel, which takes what Ritz needs from the one of the tests."""
    place = tmp_path_factory.mktemp("installed") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=120)
    python = place / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    [packages] = (place / "lib").glob("python*/site-packages")
    # Files of this name are not looked for in there, so the editable installation is not found.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


def test_a_wheel_has_the_import_name_alone(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"ritz", "ritz-0.1.0.dist-info"}
    for name in ("__init__.py", "py.typed", "deployments/recipes/darcy.yaml", "tasks/report/page.html.jinja"):
        assert f"ritz/{name}" in names


def test_an_installed_ritz_runs_a_recipe(installed: Path, environment: dict[str, str], tmp_path: Path) -> None:
    here = {"cwd": tmp_path, "env": {**environment, "PYTHONSAFEPATH": "1"}}
    look = "import ritz, sys; print(ritz.__file__); print(ritz.__version__, ritz.Pipeline.__module__)"
    with started(str(installed / "python"), "-c", look, **here) as python:
        stdout, stderr = python.communicate(timeout=120)
    assert stderr == ""
    file, words = stdout.splitlines()
    assert Path(file).is_relative_to(installed.parent)
    assert words == "0.1.0 ritz.tasks.pipeline"
    with started(str(installed / "ritz"), "run", SMALL, "--store", "store", "--json", **here) as run:
        stdout, stderr = run.communicate(timeout=240)
    assert run.returncode == 0, stderr
    record = json.loads(stdout)
    assert (record["status"], record["versions"]["build"]) == ("finished", None)


def test_a_checkout_without_links_is_refused_in_one_line(tmp_path: Path) -> None:
    package = tmp_path / "ritz"
    package.mkdir()
    shutil.copy(ROOT / "ritz" / "__init__.py", package)
    # What git leaves of a link where there are none.
    for room in ROOMS:
        (package / room).write_text(f"../{room}")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import ritz"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: {package} has no folder 'compute': a checkout of Ritz needs symbolic links "
        "(git config core.symlinks true, then git checkout .)"
    )


def test_no_room_is_found_under_its_bare_name(tmp_path: Path) -> None:
    look = f"import importlib.util as u; print([name for name in {ROOMS} if u.find_spec(name)])"
    done = subprocess.run([sys.executable, "-P", "-c", look], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
