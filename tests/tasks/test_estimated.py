"""Errors that are far beyond those of the test samples, where the statistics of the inputs tell nothing."""

from __future__ import annotations

import numpy as np

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.errors import relative_l2, summary
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.uncertainty.novelty.ranks import Ranks
from ritz.compute.uncertainty.predicted import Assessment
from ritz.compute.uncertainty.spread.defect import difference, sizes, step
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.prediction.estimated import Estimated

TRAIN, TEST, NEW = 240, 60, 60


def test_a_law_that_no_statistic_tells_is_told_by_the_estimated_error() -> None:
    """Layers along y where those of the training lie along x: all statistics are those of the law itself."""
    problem = Darcy(shape=(16, 16))
    law = Lognormal(tau=2.0, alpha=3.0, sigma=0.3, modes=4)
    line = law.draw(0, np.arange(TRAIN + TEST + NEW), (16, 16))[:, :1]
    line /= np.exp(np.log(line).mean(axis=2, keepdims=True))
    layers = np.broadcast_to(line, (len(line), 16, 16)).astype(np.float32)
    known, new = {"a": layers[: TRAIN + TEST]}, {"a": layers[TRAIN + TEST :]}
    turned = {"a": new["a"].swapaxes(1, 2)}
    ranks = Ranks.fit(known, ("a",), Dimensions.of(problem.template(1)))
    np.testing.assert_allclose(ranks.judge(turned).p, ranks.judge(new).p, atol=0.01)
    assert ranks.judge(turned).outside.mean() <= 0.05

    truth = simulate(problem, known, Direct(), 1e-8)[0]["u"].astype(np.float32)
    fields = {"a": known["a"][:TRAIN], "u": truth[:TRAIN]}
    model = Model.fitted(PCARidge(degree=2), Normalisation.fit(problem.template(1), fields), [fields])
    errors = relative_l2(model.predict({"a": known["a"][TRAIN:]})["u"], truth[TRAIN:])
    measured = {"relative_l2": summary(errors)}
    document = {"dataset": "layers@v1", "samples": TEST, "metrics": measured, "baselines": {}, "baseline_samples": 1}
    evaluation = Evaluation.model_validate(document)
    for inputs, least, most in ((new, 0.0, 0.04), (turned, 0.9, 1.0)):
        prediction = model.predict(inputs)
        corrected, _ = step(problem, inputs, prediction, 0.01)
        estimate = sizes(difference(corrected, prediction)) / sizes(corrected)
        found = Estimated.of(Assessment(None, estimate, np.isnan(estimate)), evaluation)
        assert found is not None
        assert least <= found.far.mean() <= most
