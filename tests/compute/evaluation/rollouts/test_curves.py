from __future__ import annotations

import numpy as np

from ritz.compute.evaluation.metric import Subject
from ritz.compute.evaluation.rollouts import by_step, curves
from ritz.compute.evaluation.rollouts.spectra import shown_steps, spectra
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.problem import Problem


def subject(problem: Problem, n: int = 4) -> Subject:
    template, rng = problem.template(n), np.random.default_rng(0)
    truth = {"u": rng.standard_normal(template["u"].shape)}
    prediction = {"u": truth["u"] + rng.standard_normal(template["u"].shape)}
    return Subject(problem.draw(0, np.arange(n)), prediction, truth, Dimensions.of(template), problem)


def test_blocks_of_samples_add_up() -> None:
    whole = subject(Burgers(points=16, steps=5))
    parts = []
    for rows in (slice(0, 1), slice(1, 4)):
        inputs, prediction, truth = (
            {name: values[rows] for name, values in one.items()}
            for one in (whole.inputs, whole.prediction, whole.truth)
        )
        parts.append(Subject(inputs, prediction, truth, whole.dimensions, whole.problem))
    for found in (curves.errors, lambda one: curves.likeness(one, one.prediction)):
        together, first, second = (found(one) for one in (whole, *parts))
        for name, values in together.items():
            np.testing.assert_allclose(first[name] + second[name], values, rtol=1e-10)


def test_curves_are_sums_of_what_is_measured_by_step() -> None:
    whole = subject(Burgers(points=16, steps=5))
    found = curves.errors(whole)
    assert set(found) == {"nrmse", "vrmse", "correlation"}
    np.testing.assert_allclose(found["nrmse"], by_step.nrmse(whole).sum(axis=0))
    like = curves.likeness(whole, whole.prediction)
    assert {name: values.shape for name, values in like.items()} == {"drift|integral": (5,), "spectrum|u": (3, 9)}
    expected = spectra(whole.prediction["u"], whole.dimensions, "u", ("x",), shown_steps(5)).sum(axis=0)
    np.testing.assert_allclose(like["spectrum|u"], expected)


def test_what_is_none_is_left_out() -> None:
    heat = subject(Heat(shape=(8, 8), steps=3))
    assert set(curves.likeness(heat, heat.truth)) == {"spectrum|u"}
    assert curves.unfit(heat) == ""
    assert curves.unfit(subject(Darcy(shape=(8, 8)))) == "its outputs have no times that follow a known first state"
