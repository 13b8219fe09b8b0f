"""What is loaded before a command answers: seconds of imports are felt at every call."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("dask", "distributed", "icechunk", "neuralop", "numba", "pandas"),
    *("prefect", "scipy.sparse", "torch", "xarray", "zarr"),
)

SCRIPT = """
import sys
from ritz.flows.cli import main
sys.argv = ["ritz", *sys.argv[1:]]
code = main()
print("loaded", *(name for name in {heavy} if name in sys.modules))
sys.exit(code)
"""


def loaded(*arguments: str) -> tuple[int, set[str]]:
    """The exit code of a command, and which of the heavy packages it loaded."""
    command = [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    *_, last = done.stdout.splitlines()
    assert last.startswith("loaded"), done.stderr
    return done.returncode, set(last.split()[1:])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--help",), 0),
        (("run", "--help"), 0),
        (("recipes",), 0),
        (("run", "nosuch"), 2),
        (("run", "darcy", "--set", "data.sample=3"), 2),
        (("generate", "darcy", "--set", "problem.shape=[0,64]"), 2),
        (("train", "darcy", "--dataset", "darcy@v1", "--set", "surrogate.widht=3"), 2),
    ],
)
def test_help_recipes_and_refusals_load_nothing_heavy(arguments: tuple[str, ...], code: int) -> None:
    assert loaded(*arguments) == (code, set())


def test_listing_a_store_loads_neither_solvers_nor_torch(tmp_path) -> None:
    code, names = loaded("datasets", "--store", str(tmp_path))
    assert code == 0
    assert names <= {"icechunk", "zarr"}
