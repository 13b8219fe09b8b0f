import time

import numpy as np
import pytest

from benchmarks import ritz
from benchmarks.families import posed
from benchmarks.method import Peer, steps
from benchmarks.peers import catalogue
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson

RTOL = 1e-8

FAMILIES = {
    "symmetric": (Darcy(shape=(12, 15)), 1),
    "three dimensions": (Darcy(shape=(6, 7, 8)), 1),
    "nonsymmetric": (Convection(shape=(12, 15), diffusivity=0.01), 1),
    "one matrix": (Poisson(shape=(12, 15)), 2),
    "one unstructured matrix": (Plate(cells=8), 2),
}


@pytest.mark.parametrize("name", catalogue.PEERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_peers_meet_the_tolerance_on_matrix_after_matrix(name, family):
    problem, together = FAMILIES[family]
    systems = posed(problem, 3 * together)
    _, missing = catalogue.versions()
    if name in missing:
        pytest.skip(missing[name])
    others = {other: "" for other in catalogue.PEERS if other != name}
    sequence = list(steps(systems, together))
    for method in catalogue.methods(systems, RTOL, others):
        method.begin(sequence[0])
        method.restart()
        setups = []
        for step in sequence:
            answer = method.solve(step)
            assert answer.x.shape == step.rhs.shape
            assert step.residuals(answer.x).max() <= RTOL, method.name
            assert (answer.iterations is None) == (method.group == "direct")
            assert 0 < answer.seconds < np.inf
            setups.append(answer.setup is not None)
        assert setups == [True, together == 1, together == 1], method.name


def test_experts_settings_are_rows_of_their_own():
    _, missing = catalogue.versions()
    names = [method.name for method in catalogue.methods(posed(Darcy(shape=(12, 15)), 1), RTOL, missing)]
    wanted = {
        "PARDISO": ["iparm(24)=0", "iparm(24)=1", "iparm(24)=10", "iparm(24)=10, float32 refined"],
        "hypre's structured multigrid": ["PFMG", "SMG"],
        "PETSc": ["MUMPS, METIS", "CG + hypre"],
        "AMGCL": ["AMGCL cg + smoothed aggregation"],
    }
    for peer, settings in wanted.items():
        if peer not in missing:
            assert all(any(name.endswith(setting) for name in names) for setting in settings), peer
    assert len(set(names)) == len(names)


def test_clocks_are_those_of_the_processor(monkeypatch):
    systems = posed(Darcy(shape=(12, 15)), 1)
    (step,) = steps(systems, 1)
    ticks = iter((10.0, 11.0, 13.0, 20.0, 24.0))
    monkeypatch.setattr(time, "process_time", lambda: next(ticks))

    def prepare(step, analysis):
        exact = np.linalg.inv(step.matrix.toarray())
        return lambda b: (exact @ b, None)

    peer = Peer("exact", "direct", prepare)
    peer.begin(step)
    answer = peer.solve(step)
    assert (answer.setup, answer.seconds) == (1.0, 3.0)
    (own,), _ = ritz.methods([{"kind": "direct", "library": "superlu"}], systems, RTOL)
    own.begin(step)
    assert own.solve(step).seconds == 4.0
