from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KERNELS = """
from ritz.compute.solvers.kernel import kernel

@kernel
def total(values):
    sum = 0.0
    for i in range(len(values)):
        sum += values[i]
    return sum

@kernel
def doubled(values):
    return 2 * total(values)
"""

CALLER = """
import sys
import numpy as np
from numba.core import event

compiled = []

class Listener(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event):
        pass

event.register("numba:compile", Listener())
{body}
print(*compiled)
"""


def calls(body: str, folder: Path, count: int) -> list[str]:
    """What each of some processes that run at the same time had to compile."""
    command = [sys.executable, "-c", CALLER.format(body=body)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) for _ in range(count)]
    answers = [process.communicate(timeout=240)[0].strip() for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return answers


def test_of_several_processes_one_compiles_and_the_others_load(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    body = "sys.path.insert(0, '')\nimport kernels\nassert kernels.doubled(np.ones(3)) == 6"
    answers = calls(body, tmp_path, 3)
    assert sorted(map(bool, answers)) == [False, False, True], answers
    assert "doubled" in max(answers)


def test_a_changed_file_of_the_folder_is_compiled_anew(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    body = "sys.path.insert(0, '')\nimport kernels\nprint(kernels.doubled(np.ones(3)))"
    assert calls(body, tmp_path, 1)[0].startswith("6.0\n")
    # Of another length: Python takes a file of one length and one second for the file that it has compiled.
    (tmp_path / "kernels.py").write_text(KERNELS.replace("2 * total", "3.0 * total"))
    [answer] = calls(body, tmp_path, 1)
    assert answer.startswith("9.0\n")
    assert "doubled" in answer


def test_a_folder_that_cannot_be_locked_is_compiled_for_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    (tmp_path / "__pycache__" / ".compiling").mkdir(parents=True)
    body = "sys.path.insert(0, '')\nimport kernels\nassert kernels.total(np.ones(3)) == 3"
    assert "total" in calls(body, tmp_path, 1)[0]


def test_after_precompiling_the_first_solve_compiles_nothing(tmp_path: Path) -> None:
    body = """
from ritz.compute.solvers.precompile import SOLVERS, precompile
for solver in SOLVERS:
    precompile(solver)
compiled.clear()
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.poisson import Poisson
from ritz.compute.solvers.factorization.cyclic import Cyclic
from ritz.compute.solvers.iterative.krylov import Krylov
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.transform.transform import Transform
for problem in (Darcy(shape=(16, 16)), Darcy(shape=(8, 8, 8)), Poisson(shape=(16, 16)), Convection(shape=(16, 16))):
    for solver in (Multigrid(), Krylov(), Krylov(preconditioner={"kind": "ilu", "fill": 1}), Transform()):
        simulate(problem, problem.draw(0, np.arange(2)), solver, 1e-8)
burgers = Burgers(points=16, steps=2)
simulate(burgers, burgers.draw(0, np.arange(2)), Cyclic(), 1e-8)
"""
    assert calls(body, tmp_path, 1) == [""]
