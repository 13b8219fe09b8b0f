from __future__ import annotations

import numpy as np

from ritz.compute.evaluation.quantities.fields import MeanValue
from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.propagation.points import Points
from ritz.compute.uncertainty.propagation.rungs import CorrectedRung, PredictedRung, SolvedRung


def test_a_step_takes_away_most_of_the_error_of_a_prediction() -> None:
    problem = Darcy(shape=(16, 16))
    inputs = problem.draw(0, np.arange(40))
    known = inputs | simulate(problem, inputs, Direct(), 1e-8)[0]
    model = Model.fitted(PCARidge(), Normalisation.fit(problem.template(1), known), [known])
    points = Points(0, np.arange(100, 110))
    truth, predicted, corrected = (
        rung.values(points, [MeanValue(of="u")])
        for rung in (
            SolvedRung("solver", problem, Direct(), 1e-10),
            PredictedRung("surrogate", problem, model),
            CorrectedRung("corrected", problem, model),
        )
    )
    assert np.abs(predicted - truth).mean() > 0.02 * truth.mean()
    assert np.abs(corrected - truth).mean() < 0.02 * np.abs(predicted - truth).mean()
