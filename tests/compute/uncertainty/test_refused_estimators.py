"""Estimators of the error that are wrong are refused when bands are calibrated, with the share that they leave."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.defect import SHAPES, Case, Shape
from benchmarks.defect import predicted as guessed
from benchmarks.wrong_estimators import CoarseMesh, HalfGrid, Loose, WithoutWalls
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.uncertainty.conformal.conformal import Conformal
from ritz.compute.uncertainty.predicted import Predicted
from ritz.compute.uncertainty.spread.choice import AutoSpread
from ritz.compute.uncertainty.spread.defect import Defect, step
from ritz.compute.uncertainty.spread.learnt import FittedLearnt
from ritz.compute.uncertainty.spread.spread import Unsuitable
from tests.compute.uncertainty.test_defect import about

N = 12


def solved(problem: Problem, shape: Shape) -> Predicted:
    """Solutions, and predictions that are smooth errors off: waves, or what another solution has more."""
    ids = np.arange(N)
    inputs = problem.draw(0, ids)
    truth, ledger = simulate(problem, inputs, Direct(), 1e-10)
    assert set(ledger["status"]) == {"ok"}
    prediction = guessed(Case("", problem, 0.05, N, shape=shape), truth, ids)
    return Predicted(inputs, prediction, {name: values.astype(np.float32) for name, values in truth.items()})


def errors(fields: Mapping[str, np.ndarray], given: Predicted) -> np.ndarray:
    """The norms of the errors of some fields, by sample."""
    [name] = given.truth
    found: np.ndarray = np.linalg.norm((fields[name] - given.truth[name].astype(float)).reshape(N, -1), axis=1)
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("problem", "right"),
    [
        (CoarseMesh(cells=16), Plate(cells=16)),
        (WithoutWalls(cells=16), Plate(cells=16)),
        (HalfGrid(shape=(32, 32)), Darcy(shape=(32, 32))),
    ],
    ids=["coarse mesh alone", "walls left out", "half the grid alone"],
)
def test_a_projection_is_refused_with_what_it_leaves(problem: Problem, right: Problem, shape: Shape) -> None:
    given = solved(problem, shape)
    with pytest.raises(Unsuitable, match=rf"of problem '{problem.kind}' by \w+ leaves") as caught:
        Defect().fit(given, about(problem))
    number, _, share = str(caught.value).removeprefix("step ").partition(" ")
    first, _ = step(problem, given.inputs, given.prediction, 0.01)
    second, _ = step(problem, given.inputs, first, 0.01)
    before, once, twice = (errors(fields, given) for fields in (given.prediction, first, second))
    # However little the first step leaves, the second leaves nearly all of that.
    assert np.median(twice / once) > 0.9
    found = float(share.partition("leaves ")[2].partition(" %")[0]) / 100
    assert found > 0.3
    assert found == pytest.approx(np.median(once / before if number == "1" else twice / once), rel=0.02)
    assert str(caught.value).endswith("% of the median error, expected at most 30 %")
    with pytest.raises(Unsuitable, match="leaves"):
        Conformal(levels=(0.5,), spread=Defect()).calibrate(given, given, about(problem))
    assert isinstance(AutoSpread().fit(given, about(problem)), FittedLearnt)
    Defect().fit(solved(right, shape), about(right))


def test_a_mesh_of_half_the_cells_leaves_little_of_smooth_errors_and_is_not_taken_for_exact() -> None:
    problem = CoarseMesh(cells=16)
    given = solved(problem, "waves")
    first, _ = step(problem, given.inputs, given.prediction, 0.01)
    assert np.median(errors(first, given) / errors(given.prediction, given)) < 0.3
    with pytest.raises(Unsuitable, match="step 2 of problem 'plate_by_coarse_mesh' by direct leaves 100 %"):
        Defect().fit(given, about(problem))
    assert Defect().fit(solved(Plate(cells=16), "waves"), about(Plate(cells=16))).exact


def test_solves_that_stop_too_early_are_refused_with_what_they_leave() -> None:
    flow = Convection(shape=(64, 64), diffusivity=0.001)
    given = solved(flow, "waves")
    with pytest.raises(Unsuitable, match=r"step 1 of problem 'convection' by multigrid leaves [3-9]\d\.?\d* %"):
        Defect(rtol=0.3).fit(given, about(flow))
    assert max(Defect().fit(given, about(flow)).left) < 0.1
    waves = {"shape": (48, 48), "wavenumber": 20.0, "variation": 0.06}
    loose, right = Loose.model_validate(waves), Helmholtz.model_validate(waves)
    with pytest.raises(Unsuitable, match=r"step 1 of problem 'helmholtz_loosely' by fgmres leaves \d+ %"):
        Defect().fit(solved(loose, "waves"), about(loose))
    assert max(Defect().fit(solved(right, "waves"), about(right)).left) < 0.1
