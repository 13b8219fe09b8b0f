"""Run the tests that SciPy has of its iterative solvers with those of Ritz in their place; print a line of JSON.

python -m tests.compute.solvers.scipy_suite
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from scipy.sparse.linalg import _isolve

from ritz.compute.solvers.krylov import bicgstab, cg, gmres

SUITE = Path(_isolve.__file__).parent / "tests" / "test_iterative.py"
"""SciPy's tests, where SciPy is installed with them."""

_OURS = (bicgstab, cg, gmres)


class Chosen:
    """Keeps the tests of the three methods, and takes down what comes of them."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the tests of other methods."""
        items[:] = [item for item in items if _ours(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down what came of a test."""
        if report.when == "call" or report.failed:
            self.outcomes[report.outcome] += 1
            if report.failed:
                self.failed.append(report.nodeid.partition("::")[2])


def _ours(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    values = {} if call is None else call.params
    solver = values.get("solver") or getattr(values.get("case"), "solver", None)
    if solver is not None:
        return solver in _OURS
    return "TestGMRES" in item.nodeid or "test_precond_inverse" in item.nodeid


def main() -> None:
    """Run them in this process."""
    for function in _OURS:
        setattr(_isolve, function.__name__, function)
    chosen, said = Chosen(), io.StringIO()
    with TemporaryDirectory() as folder, redirect_stdout(said):
        # Settings of this project do not hold for another one's tests.
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={folder}", "-c", "/dev/null"]
        code = pytest.main([*options, str(SUITE)], plugins=[chosen])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(said.getvalue())
    print(json.dumps({"outcomes": chosen.outcomes, "failed": sorted(chosen.failed)}))


if __name__ == "__main__":
    main()
