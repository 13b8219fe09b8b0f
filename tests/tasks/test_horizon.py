"""Predictions at times that are asked for."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import network
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.uncertainty.verification.fields import FAILED
from ritz.tasks.errors import InputError
from ritz.tasks.prediction.horizon import Horizon, read_times
from ritz.tasks.prediction.verified_horizon import VerifiedHorizon
from tests.compute.surrogates.test_stepping import INNER, TIMES, Falling, exact, model, samples


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0.5,1,2", (0.5, 1.0, 2.0)),
        ("3", (3.0,)),
        ("0:1:0.25", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("1:4:1", (1.0, 2.0, 3.0, 4.0)),
        ("0:0.3:0.1", (0.0, 0.1, 0.2, 0.3)),
    ],
)
def test_times_are_a_list_or_a_range_with_both_ends(text: str, times: tuple[float, ...]) -> None:
    assert read_times(text) == pytest.approx(times, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected times as 0.5,1,2 or a range START:END:STEP"),
        ("soon", "--times is 'soon', expected times as"),
        ("0:1", "expected times as"),
        ("nan", "expected times as"),
        ("0:1:0.3", "expected a positive STEP of which a whole number"),
        ("0:1:-0.5", "expected a positive STEP"),
        ("1:0:0.5", "expected a positive STEP"),
        ("0:1e9:1", "below 100000"),
        ("1,1", "expected times that rise from 0 or later"),
        ("-1,1", "expected times that rise from 0 or later"),
        ("0", "expected a time after 0"),
    ],
)
def test_what_is_no_list_of_times_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_times(text)


def ask(found: Model, times: tuple[float, ...]) -> Horizon:
    return Horizon.of(times, found, samples(), found.predict(samples()))


CARD: Any = SimpleNamespace(
    outputs={"u": SimpleNamespace(dims=("time", "part", "x")), "v": SimpleNamespace(dims=("time", "x"))}
)
"""What a card says of the outputs."""


def test_the_state_at_time_zero_is_the_input_and_bands_are_there_where_they_were_calibrated() -> None:
    found = ask(exact(Stepping(inner=INNER), Falling(0.5)), (0.0, 1.0, 1.5, 4.0))
    np.testing.assert_array_equal(found.outputs["u"][:, 0], samples()["u0"])
    np.testing.assert_allclose(found.outputs["v"][:, 1:], samples(times=(1.0, 1.5, 4.0))["v"], rtol=0, atol=1e-4)
    assert found.places.tolist() == [-1, 1, 2, -1]
    ends = {"u": np.arange(5 * 4 * 2 * 8.0).reshape(5, 4, 2, 8), "v": np.arange(5 * 4 * 8.0).reshape(5, 4, 8)}
    lower, upper = found.band(ends, ends, CARD)
    for name, values in lower.items():
        assert np.isnan(values[:, [0, 3]]).all()
        np.testing.assert_array_equal(values[:, 1:3], ends[name][:, 1:3])
        np.testing.assert_array_equal(upper[name], values)
    _, flags, about = found.flags()
    assert flags.tolist() == [0, 1, 1, 0]
    assert about["flag_meanings"] == "not_calibrated calibrated"
    assert found.remarks(bands=True)[0] == (
        "the bands are calibrated at 2 of the 4 times and NaN at the others; `bands_calibrated` flags them"
    )


def test_a_time_that_is_reached_by_other_steps_is_not_the_calibrated_one() -> None:
    found = ask(model(Stepping(inner=INNER, pairs="all")), (0.5, 2.0))
    assert found.places.tolist() == [0, -1]
    found = ask(model(Stepping(inner=INNER, pairs="all")), TIMES)
    assert found.places.tolist() == [0, 1, 2, 3]


def test_times_beyond_the_training_are_said_and_far_ones_warned_of() -> None:
    surrogate = model(Stepping(inner=INNER))
    assert ask(surrogate, (0.5, 1.0)).remarks(bands=False) == []
    assert ask(surrogate, (3.0,)).remarks(bands=False) == [
        "the times reach to 3, the training to 2: no error was measured beyond it"
    ]
    (line,) = ask(surrogate, (20.0,)).remarks(bands=False)
    assert line.startswith("the times reach to 20, 10 times the 2 of the training")
    assert line.endswith("do not rely on them")


def test_a_surrogate_that_does_not_step_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"--times: times has 0\.7 after 0, which is no whole number of steps"):
        ask(model(Stepping(inner=INNER)), (0.7,))


def stepping(problem: Any) -> tuple[Model, dict[str, np.ndarray]]:
    """Return an untrained surrogate of a problem, and inputs."""
    from ritz.compute.surrogates.normalisation import Normalisation

    inputs = problem.draw(0, np.arange(3))
    fields = problem.simulate(
        inputs,
        lambda systems: np.linalg.solve(
            np.stack([systems.operators.csr(i).toarray() for i in range(len(systems))]),
            systems.rhs.reshape(len(systems), -1, 1),
        ).reshape(systems.rhs.shape),
    )
    normalisation = Normalisation.fit(problem.template(3), {**inputs, **fields})
    surrogate = Stepping(inner=FNO(modes=4, width=4, layers=1))
    return Model(surrogate, normalisation, network(surrogate, normalisation).eval()), inputs


def errors(found: VerifiedHorizon) -> tuple[float, float]:
    """Return the error of the verified rollout, and that of the surrogate alone."""
    assert found.summary.error_verified is not None
    assert found.summary.error_free is not None
    return found.summary.error_verified, found.summary.error_free


def test_a_verified_rollout_is_the_solution_at_the_times_that_were_asked_for() -> None:
    problem = Burgers(points=32, steps=4, end=0.2)
    surrogate, inputs = stepping(problem)
    found = VerifiedHorizon.of(problem, surrogate, inputs, (0.0, 0.1, 0.3), 1e-3)
    assert found.places.tolist() == [-1, 1, 5]
    assert found.rollout.actions.shape == (3, 6)
    np.testing.assert_array_equal(found.fields("u")[:, 0], inputs["u0"])
    further = problem.prolonged(6)
    assert np.all(further.residual(inputs, {"u": found.rollout.fields["u"]}) < 1e-2)
    verified, free = errors(found)
    assert verified < 2e-3 < free
    assert found.summary.solved + found.summary.corrected == pytest.approx(1)
    assert "of 18 steps" in found.summary.text()
    variables = found.of_steps("sample", {})
    assert variables["verified"][1].shape == variables["verified_error"][1].shape == (3, 3)


@pytest.mark.parametrize("times", [(0.05,), (0.05, 0.1, 0.4), (0.4, 0.6)])
def test_a_verified_rollout_of_uneven_steps_is_the_solution(times: tuple[float, ...]) -> None:
    problem = Heat(shape=(8, 8), steps=4, end=0.4)
    surrogate, inputs = stepping(problem)
    found = VerifiedHorizon.of(problem, surrogate, inputs, times, 1e-3)
    further = problem.prolonged(7)
    np.testing.assert_allclose(further.times, [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], rtol=1e-12)
    np.testing.assert_allclose(further.times[found.places], times, rtol=1e-12)
    verified, free = errors(found)
    assert verified < 2e-3 < free


@pytest.mark.parametrize(
    ("problem", "times", "message"),
    [
        (
            Burgers(points=32, steps=4, end=0.2),
            (0.07,),
            "0.07 is no time of problem 'burgers', whose states are 0.05 apart",
        ),
        (Heat(shape=(8, 8), steps=4, end=0.4), (0.15,), "0.15 is no time of problem 'heat'"),
    ],
    ids=["burgers", "heat"],
)
def test_times_of_which_the_problem_has_no_steps_are_refused(problem: Any, times: Any, message: str) -> None:
    surrogate, inputs = stepping(Burgers(points=32, steps=4, end=0.2))
    with pytest.raises(InputError, match=message):
        VerifiedHorizon.of(problem, surrogate, inputs, times, 1e-3)


def test_what_a_verified_rollout_says_is_plain() -> None:
    problem = Burgers(points=32, steps=2, end=0.1)
    surrogate, inputs = stepping(problem)
    summary = VerifiedHorizon.of(problem, surrogate, inputs, (0.1,), 0.5).summary
    text = summary.model_copy(
        update={"predicted": 0.5, "corrected": 0.25, "solved": 0.25, "failed": 0.0, "error_free": 0.1}
        | {"error_verified": 0.01, "seconds_verified": 0.002, "seconds_solver": 0.001}
    ).text()
    assert text == (
        "every step verified to a relative error of 0.5: of 6 steps 50 % as predicted, 25 % corrected, 25 % solved, "
        "0 % without a good answer; error 0.01, 0.1 without (on 3 samples); 2 ms per sample, 2 of the 1 ms of the "
        "solver alone"
    )


@pytest.mark.parametrize("lost", [1, 3])
def test_samples_without_a_good_answer_are_counted_and_in_no_error(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    from ritz.compute.uncertainty.verification import rollouts

    def failing(*arguments: Any) -> rollouts.VerifiedRollout:
        found = rolled(*arguments)
        for values in found.fields.values():
            values[:lost, 1:] = np.nan
        found.actions[:lost, 1:] = FAILED
        return found

    problem, rolled = Burgers(points=32, steps=4, end=0.2), rollouts.roll_out
    surrogate, inputs = stepping(problem)
    verified, _ = errors(VerifiedHorizon.of(problem, surrogate, inputs, (0.2,), 1e-3))
    monkeypatch.setattr(rollouts, "roll_out", failing)
    found = VerifiedHorizon.of(problem, surrogate, inputs, (0.2,), 1e-3).summary
    assert found.failed == pytest.approx(lost / 3 * 3 / 4)
    json.dumps(found.document(), allow_nan=False)
    if lost == 3:
        assert found.error_verified is None
        assert "without a good answer; error not known; " in found.text()
    else:
        assert found.error_verified is not None
        assert found.error_verified < 3 * verified
        assert "without (on those with good answers of 3 samples); " in found.text()


def test_a_horizon_keeps_what_is_known_of_errors() -> None:
    from ritz.compute.uncertainty.predicted import Assessment

    found = ask(exact(Stepping(inner=INNER), Falling(0.5)), (1.0, 4.0))
    known = Assessment({"v": np.ones((5, 4, 8))}, np.zeros(5), np.zeros(5, bool))
    moved = found.assessment(known, CARD)
    assert moved is not None
    assert moved.corrected is not None
    assert np.isnan(moved.corrected["v"][:, 1]).all()
    assert found.assessment(replace(known, corrected=None), CARD) == replace(known, corrected=None)
