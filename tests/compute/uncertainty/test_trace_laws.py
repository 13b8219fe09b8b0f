"""Laws of traces: what each keeps of the traces that it was fitted to, the same bits for the same id, and refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy
from pydantic import TypeAdapter

from ritz.compute.uncertainty.propagation.traces.catalogue import TRACE_LAWS, AnyTraceLaw
from ritz.compute.uncertainty.propagation.traces.pca_copula import PCACopula
from ritz.compute.uncertainty.propagation.traces.pca_gaussian import PCAGaussian
from ritz.compute.uncertainty.propagation.traces.principal_components import PrincipalComponents
from ritz.compute.uncertainty.propagation.traces.smoothed_bootstrap import SmoothedBootstrap
from ritz.compute.uncertainty.propagation.traces.trace_law import TraceLaw

ALL = (PCACopula(components=3), PCAGaussian(components=3), SmoothedBootstrap(components=3))
laws = pytest.mark.parametrize("law", ALL, ids=lambda law: law.kind)

LINES = np.stack([np.sin(np.pi * k * (np.arange(20) + 0.5) / 20) for k in (1, 2, 3)]) * np.sqrt(0.1)
"""Orthonormal, three lines of 20 points."""


def heavy(count: int, seed: int) -> np.ndarray:
    """Return traces with scores of one skewed heavy tail, and two that depend on each other."""
    rng = np.random.default_rng(seed)
    pair = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], count)
    scores = np.stack([3 * np.exp(rng.standard_normal(count)), pair[:, 0], 0.5 * pair[:, 1] ** 3], axis=1)
    return np.asarray(5 + scores @ LINES)


def test_all_are_tested() -> None:
    assert {type(law) for law in ALL} == set(TRACE_LAWS.kinds().values())


@laws
def test_an_id_has_the_same_bits_in_any_block_order_and_process(law: TraceLaw) -> None:
    fitted = law.fit(heavy(200, 0))
    drawn = fitted.draw(7, np.arange(30))
    assert (drawn.shape, drawn.dtype) == ((30, 20), np.float64)
    np.testing.assert_array_equal(fitted.draw(7, np.array([12, 3])), drawn[[12, 3]])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(law.fit(heavy(200, 0)))).draw(7, np.arange(30)), drawn)
    assert not np.any(np.all(fitted.draw(8, np.arange(30)) == drawn, axis=1))
    assert fitted.draw(7, np.arange(0)).shape == (0, 20)
    adapter: TypeAdapter[TraceLaw] = TypeAdapter(AnyTraceLaw)
    assert adapter.validate_python(law.model_dump()) == law


@laws
def test_mean_and_covariance_are_those_of_the_traces(law: TraceLaw) -> None:
    rng = np.random.default_rng(0)
    traces = rng.standard_normal((400, 3)) * [3, 2, 1] @ LINES + 1
    drawn = law.fit(traces).draw(0, np.arange(4000))
    np.testing.assert_allclose(drawn.mean(axis=0), traces.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(traces.T), atol=0.1)


def test_the_copula_keeps_tails_and_dependence_and_the_gaussian_does_not() -> None:
    traces, truth, ids = heavy(300, 1), heavy(3000, 2), np.arange(2000)
    drawn = {law.kind: law.fit(traces).draw(0, ids) for law in ALL}

    def missed(values: np.ndarray, line: int) -> float:
        one, true = (np.asarray((x - 5) @ LINES[line]) for x in (values, truth))
        return float(scipy.stats.wasserstein_distance(one, true) / true.std())

    distances = {kind: missed(values, 0) for kind, values in drawn.items()}
    assert distances["pca_copula"] < 0.12 < 0.2 < distances["pca_gaussian"]
    # All scores of the first line are positive: the Gaussian has others.
    assert np.mean((drawn["pca_gaussian"] - 5) @ LINES[0] < 0) > 0.1 > np.mean((drawn["pca_copula"] - 5) @ LINES[0] < 0)
    # The scores of the components are uncorrelated, their ranks are not.
    directions = PrincipalComponents.of(traces, 3).directions
    levels = [scipy.stats.rankdata(one @ directions.T, axis=0) / (len(one) + 1) for one in (traces, *drawn.values())]
    ranks = [np.corrcoef(scipy.special.ndtri(one).T) for one in levels]
    assert np.abs(ranks[0] - np.eye(3)).max() > 0.3
    np.testing.assert_allclose(ranks[1], ranks[0], atol=0.08)
    np.testing.assert_allclose(ranks[2], np.eye(3), atol=0.08)


def test_the_bootstrap_draws_the_traces_and_smoothed_ones_near_them() -> None:
    traces, ids = heavy(50, 3), np.arange(400)
    plain = SmoothedBootstrap(components=3, bandwidth=0).fit(traces).draw(0, ids)
    distance = np.abs(plain[:, None] - traces).max(axis=2)
    assert distance.min(axis=1).max() < 1e-12
    assert len(np.unique(distance.argmin(axis=1))) == 50
    near = SmoothedBootstrap(components=3, bandwidth=0.05).fit(traces).draw(0, ids)
    assert 0 < np.abs(near[:, None] - traces).max(axis=2).min(axis=1).max() < 0.3 * traces.std(axis=0).max()


@laws
def test_too_few_traces_and_values_that_are_not_finite_are_refused(law: TraceLaw) -> None:
    traces = heavy(10, 0)
    law.fit(traces[:4])
    with pytest.raises(ValueError, match="there are 3 traces, expected more than components = 3"):
        law.fit(traces[:3])
    with pytest.raises(ValueError, match="traces has 2 points, expected components = 3 or more"):
        law.fit(traces[:, :2])
    with pytest.raises(ValueError, match="traces has 1 of 200 values that are not finite"):
        law.fit(np.where(traces == traces[2, 5], np.nan, traces))
    with pytest.raises(ValueError, match=r"traces has shape \(20,\), expected \(n, d\)"):
        law.fit(traces[0])
