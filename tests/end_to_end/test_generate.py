"""`ritz.generate`, in a process of its own as a script is."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import ritz
from ritz.compute.problems.darcy import Darcy
from ritz.tasks.errors import RecipeError
from ritz.tasks.pipeline import Data, Pipeline
from tests.command import SMALL, started

SCRIPT = """
import ritz
from ritz.compute.problems.darcy import Darcy
from ritz.tasks.pipeline import Data

if __name__ == "__main__":
    pipeline = ritz.Pipeline(
        name="few", problem=Darcy(shape=(8, 8)), data=Data(samples=16, shard=8), solver="direct", catalogue="site"
    )
    made = ritz.generate(pipeline)
    print((made.dataset.version, made.ledger.solved, ritz.open_dataset("few@v1")["u"].shape))
    print((ritz.generate(pipeline).ledger.solved, ritz.generate("few@v1", {"data.samples": 32}).dataset.version))
"""


def test_a_dataset_is_made_found_done_and_grown(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with started(sys.executable, "script.py", cwd=tmp_path, env=environment) as process:
        stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    first, second = map(ast.literal_eval, stdout.splitlines())
    assert first == ("v1", 16, (16, 8, 8))
    assert second == (0, "v2")
    # The catalogue that the recipe names was written at every publication.
    page = (tmp_path / "site" / "datasets" / "few" / "index.html").read_text()
    assert "<h1>few@v2</h1>" in page


def test_bad_input_is_refused_before_a_server_starts(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.shard: Input should be greater than 0"):
        ritz.generate(SMALL, {"data.shard": 0}, store=str(tmp_path))
    pipeline = Pipeline(name="few", problem=Darcy(shape=(8, 8)), data=Data(samples=16))
    with pytest.raises(RecipeError, match=r"overrides are \{'data.samples': 32\}, expected none with a pipeline"):
        ritz.generate(pipeline, {"data.samples": 32}, store=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
