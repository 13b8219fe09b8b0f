"""Laws of inputs made of stored samples: which row an id is, what a fitted law keeps, and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import xarray as xr
from pydantic import TypeAdapter

from ritz.compute.evaluation.quantities.fields import MeanValue
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.restriction import Restriction
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.uncertainty.propagation.laws.catalogue import INPUT_LAWS, AnyInputLaw
from ritz.compute.uncertainty.propagation.laws.empirical import Empirical
from ritz.compute.uncertainty.propagation.laws.input_law import InputLaw
from ritz.compute.uncertainty.propagation.laws.joined import Joined
from ritz.compute.uncertainty.propagation.laws.on_grid import OnGrid
from ritz.compute.uncertainty.propagation.laws.stored_inputs import StoredInputs
from ritz.compute.uncertainty.propagation.points import BASE, Points
from ritz.compute.uncertainty.propagation.rungs import SolvedRung, drawn
from ritz.compute.uncertainty.propagation.traces import trace_law
from ritz.compute.uncertainty.propagation.traces.pca_copula import PCACopula
from ritz.compute.uncertainty.propagation.traces.pca_gaussian import PCAGaussian
from ritz.compute.uncertainty.propagation.traces.smoothed_bootstrap import SmoothedBootstrap

ALL = (Empirical(), PCACopula(components=3), PCAGaussian(components=3), SmoothedBootstrap(components=3))
laws = pytest.mark.parametrize("law", ALL, ids=lambda law: law.kind)

IDS = BASE + np.arange(40)


def stored(problem: Problem, count: int = 30, seed: int = 5) -> tuple[StoredInputs, dict[str, np.ndarray]]:
    """Return rows in another order than that of their ids, and the inputs in that of the ids."""
    inputs = problem.draw(seed, np.arange(count))
    order = np.random.default_rng(0).permutation(count)
    template = problem.template(count)
    data = template.copy(
        data={
            name: inputs[name][order] if name in inputs else np.zeros(one.shape, one.dtype)
            for name, one in template.data_vars.items()
        }
    )
    return StoredInputs(data.assign_coords(sample_id=("sample", order))), inputs


def test_all_are_tested() -> None:
    assert {type(law) for law in ALL} == set(INPUT_LAWS.kinds().values())


@laws
def test_an_id_has_the_same_bits_in_any_block_order_and_process(law: InputLaw) -> None:
    rows, _ = stored(Poisson(shape=(6, 8)))
    fitted = law.of(rows)
    found = fitted.draw(3, IDS)
    again = pickle.loads(pickle.dumps(law.of(rows))).draw(3, IDS[[12, 3]])
    other = fitted.draw(4, IDS)
    template = Poisson(shape=(6, 8)).template(len(IDS))
    for name, values in found.items():
        assert (values.shape, values.dtype) == (template[name].shape, template[name].dtype)
        np.testing.assert_array_equal(again[name], values[[12, 3]])
        assert not np.array_equal(other[name], values)
    adapter: TypeAdapter[InputLaw] = TypeAdapter(AnyInputLaw)
    assert adapter.validate_python(law.model_dump()) == law


def test_the_empirical_law_draws_rows_with_replacement_bit_for_bit() -> None:
    rows, inputs = stored(Darcy(shape=(6, 6)), 20)
    fitted = Empirical().of(rows)
    at = fitted.rows(1, BASE + np.arange(400))
    np.testing.assert_array_equal(fitted.draw(1, BASE + np.arange(400))["a"], inputs["a"][at])
    counts = np.bincount(at, minlength=20)
    # 20 on average with a deviation of 4.4.
    assert counts.min() >= 5
    assert counts.max() <= 40
    np.testing.assert_array_equal(rows.taken(np.array([7, 2, 7]))["a"], inputs["a"][[7, 2, 7]])


@laws
def test_an_id_is_the_same_sample_on_a_coarser_grid(law: InputLaw) -> None:
    fine, coarse = Darcy(shape=(16, 16)), Darcy(shape=(4, 4))
    rows, _ = stored(fine)
    fitted = law.of(rows)
    restriction = Restriction.between(rows.template, coarse.template(1))
    assert isinstance(restriction, Restriction)
    given = fitted.draw(0, IDS)["a"].astype(np.float64)
    means = np.exp(np.log(given).reshape(-1, 4, 4, 4, 4).mean(axis=(2, 4)))
    np.testing.assert_allclose(OnGrid(fitted, restriction).draw(0, IDS)["a"], means, rtol=1e-5)


def test_rungs_solve_the_samples_of_the_law() -> None:
    problem = Darcy(shape=(8, 8))
    rows, inputs = stored(problem)
    fitted = Empirical().of(rows)
    points, quantities = Points(2, IDS[:5]), [MeanValue(of="u")]
    found = SolvedRung("truth", problem, Direct(), 1e-8, law=fitted).values(points, quantities)
    whole = Direct()
    assert found.shape == (5, 1)
    expected = problem.simulate(
        {"a": inputs["a"][fitted.rows(2, IDS[:5])]}, lambda systems: whole.solve(systems, rtol=1e-8, carry=None)[0].x
    )
    np.testing.assert_allclose(found[:, 0], expected["u"].mean(axis=(1, 2)), rtol=1e-6)
    with pytest.raises(ValueError, match="a law of stored samples takes no coordinates, got 2"):
        drawn(problem, Points(2, IDS[:1], np.full((1, 2), 0.5)), fitted)


@pytest.mark.parametrize("law", ALL[1:], ids=lambda law: law.kind)
def test_positive_inputs_stay_positive_and_every_input_counts(law: InputLaw) -> None:
    """The source is ten thousand times as large as log a; of both, the twelve components keep most of the variance."""
    problem = Elliptic(shape=(8, 8))
    inputs = problem.draw(0, np.arange(400))
    scaled = {"a": inputs["a"], "f": (1e4 * inputs["f"]).astype(np.float32)}
    template = problem.template(400).drop_vars("u")
    data = template.copy(data=scaled).assign_coords(sample_id=("sample", np.arange(400)))
    drawn_inputs = law.model_copy(update={"components": 12}).of(StoredInputs(data)).draw(0, BASE + np.arange(1000))
    assert drawn_inputs["a"].min() > 0
    for name, values in (("a", np.log(inputs["a"])), ("f", scaled["f"])):
        found = np.log(drawn_inputs[name]) if name == "a" else drawn_inputs[name]
        size = values.std()
        assert np.abs(found.mean(axis=0) - values.mean(axis=0)).max() < 0.25 * size
        assert 0.5 < found.var() / values.var() < 1.1


def test_joined_traces_have_units_of_their_own_and_come_back() -> None:
    problem = Poisson(shape=(6, 8))
    inputs = problem.draw(0, np.arange(20))
    joined = Joined.of(inputs, frozenset())
    traces = joined.traces(inputs)
    assert traces.shape == (20, 6 * 8 + 2 * 6 + 2 * 8)
    assert traces.var(axis=0).sum() == pytest.approx(5)
    for name, values in joined.inputs(traces).items():
        np.testing.assert_allclose(values, inputs[name], rtol=1e-6, atol=1e-7)
    constant = Joined.of({"k": np.full((4, 2), 3.0)}, frozenset())
    np.testing.assert_array_equal(
        constant.inputs(constant.traces({"k": np.full((4, 2), 3.0)}))["k"], np.full((4, 2), 3)
    )


def test_too_few_rows_too_many_and_values_without_a_logarithm_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    few, _ = stored(Darcy(shape=(6, 6)), 3)
    assert PCACopula(components=3).unfit(few) == "there are 3 traces, expected more than components = 3"
    assert PCAGaussian(components=2).unfit(few) == ""
    assert PCAGaussian(components=2).unfit(stored(Darcy(shape=(6, 6)))[0]) == ""
    one, _ = stored(Darcy(shape=(6, 6)), 1)
    assert Empirical().unfit(one) == "there are 1 rows, expected 2 or more"
    monkeypatch.setattr(trace_law, "MOST", 100)
    assert PCAGaussian(components=2).unfit(few) == "3 rows of 36 numbers are 108 in all, expected 100 at most"
    assert Empirical().unfit(few) == ""
    data = xr.Dataset(
        {"a": (("sample", "x"), np.array([[1.0, 0.0], [2.0, 3.0], [1.0, 1.5]]), {"role": "input", "transform": "log"})},
        coords={"sample_id": ("sample", np.arange(3))},
    )
    with pytest.raises(ValueError, match="input 'a' has 1 of 6 values that are not positive, expected positive ones"):
        PCAGaussian(components=1).of(StoredInputs(data))
