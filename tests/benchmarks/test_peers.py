import numpy as np
import pytest

from benchmarks.families import posed
from benchmarks.method import steps
from benchmarks.peers import catalogue
from compute.problems.convection import Convection
from compute.problems.darcy import Darcy
from compute.problems.plate import Plate
from compute.problems.poisson import Poisson

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
