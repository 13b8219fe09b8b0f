"""The memory that a large test split takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from pathlib import Path
from benchmarks.measuring import CASES, taken

if __name__ == "__main__":
    found = taken(CASES["pca_ridge"], float(sys.argv[1]), Path(sys.argv[2]))
    print(max(max(row.worker, row.driver) for row in found))
"""


@pytest.mark.soak
def test_ten_gigabytes_of_test_samples_take_less_than_two(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, "10", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=3000,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) < 2
