"""Reduced models: bases of snapshots, clusters of them, Galerkin solves."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ritz.compute.problems.box.walls import LinearInBox
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.problem import Arrays, Problem
from ritz.compute.simulation.reduced.clustering import distances, k_medoids, normalised, sines
from ritz.compute.simulation.reduced.dictionary import Dictionary, pod
from ritz.compute.simulation.reduced.reduced import ReducedBases, snapshots
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from tests.compute.problems.families import SMALL

IDS = np.arange(12)
LINEAR = [name for name, problem in SMALL.items() if isinstance(problem, LinearInBox)]


def solved(problem: Problem, ids: np.ndarray = IDS) -> tuple[Arrays, Arrays]:
    inputs = problem.draw(0, ids)
    fields, ledger = simulate(problem, inputs, Direct(), 1e-11)
    assert set(ledger["status"]) == {"ok"}
    return inputs, fields


def groups() -> np.ndarray:
    """Return 12 snapshots: two lines of four, of any sign and of sizes 1 to 1000, and four close to the first."""
    rng = np.random.default_rng(0)
    lines = rng.standard_normal((2, 20))
    sizes = np.array([1.0, -10.0, 100.0, 1000.0])
    far = np.concatenate([sizes[:, None] * line for line in lines])
    near = lines[0] + 0.01 * rng.standard_normal((4, 20))
    return np.concatenate([far, near])


def test_clusters_by_angle_are_lines_whatever_the_size_and_sign() -> None:
    medoids, labels = k_medoids(sines(groups()), 2)
    assert (labels == labels[0]).tolist() == [True] * 4 + [False] * 4 + [True] * 4
    assert labels[medoids].tolist() == [0, 1]


def test_clusters_by_distance_put_the_large_ones_apart() -> None:
    _, labels = k_medoids(distances(groups()), 3)
    large = [3, 7]
    assert len(set(labels[large])) == 2
    assert len(set(np.delete(labels, large))) == 1


def test_medoids_are_the_best_there_are() -> None:
    points = np.random.default_rng(1).standard_normal((14, 2))
    unlike = distances(points)
    medoids, labels = k_medoids(unlike, 3)
    best = min(unlike[:, list(some)].min(axis=1).sum() for some in combinations(range(14), 3))
    assert unlike[np.arange(14), medoids[labels]].sum() == pytest.approx(best, rel=1e-12)


def test_no_cluster_is_empty_even_of_equal_points() -> None:
    medoids, labels = k_medoids(np.zeros((5, 5)), 3)
    assert len(set(medoids)) == 3
    assert set(labels) == {0, 1, 2}


def test_a_snapshot_of_zeros_is_at_a_right_angle() -> None:
    assert sines(np.array([[0.0, 0.0], [1.0, 0.0], [-2.0, 0.0]])).tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]


def test_modes_are_orthonormal_and_end_where_nothing_more_is_spanned() -> None:
    basis = pod(groups()[:8], 5)
    assert basis.shape == (20, 2)
    assert basis.T @ basis == pytest.approx(np.eye(2), abs=1e-14)


def test_large_snapshots_take_the_modes_unless_all_get_norm_one() -> None:
    rng = np.random.default_rng(2)
    small, large = np.linalg.qr(rng.standard_normal((20, 2)))[0].T
    rows = np.stack([*(size * small for size in (1.0, 1.1, 1.2)), 1000 * large])
    for normalise, expected in ((False, large), (True, small)):
        kind = ReducedBases(modes=1, normalise=normalise)
        [basis] = kind.dictionary(rows, np.zeros((4, 1)), seed=0).bases
        assert np.abs(basis[:, 0] @ expected) == pytest.approx(1)


@pytest.mark.parametrize("name", LINEAR)
def test_solutions_in_the_span_of_the_basis_are_found(name: str) -> None:
    problem = SMALL[name]
    inputs, fields = solved(problem)
    model = ReducedBases(modes=12).fit(problem, inputs, fields, seed=0)
    found = model.answer({key: values[3:7] for key, values in inputs.items()})
    assert set(found) == set(fields)
    for key, values in found.items():
        assert values.dtype == np.float64
        assert values == pytest.approx(fields[key][3:7], rel=1e-7, abs=1e-7 * np.abs(fields[key]).max())


def test_answers_to_new_samples_are_the_best_in_the_energy_norm() -> None:
    """Galerkin's error of a symmetric definite problem is orthogonal to the basis in the product with A."""
    problem = Darcy(shape=(12, 12))
    inputs, fields = solved(problem)
    new, truth = solved(problem, IDS[:2] + 100)
    model = ReducedBases(modes=5).fit(problem, inputs, fields, seed=0)
    [basis] = model.dictionary.bases
    error = snapshots(model.answer(new)) - snapshots(truth)
    for i, row in enumerate(error):
        assert np.abs(basis.T @ problem.matrices(new).matvec(i, row)).max() < 1e-9
    nearest = model.dictionary.project(snapshots(truth), np.zeros(2, dtype=int)) - snapshots(truth)
    assert (np.linalg.norm(nearest, axis=1) <= np.linalg.norm(error, axis=1)).all()


def test_a_dictionary_of_one_cluster_is_the_global_basis() -> None:
    problem = Darcy(shape=(12, 12))
    inputs, fields = solved(problem)
    rows = snapshots(fields)
    for dissimilarity, normalise in (("angle", False), ("euclid", True)):
        kind = ReducedBases(modes=4, clusters=1, dissimilarity=dissimilarity, normalise=normalise)
        model = kind.fit(problem, inputs, fields, seed=0)
        [basis] = model.dictionary.bases
        assert np.array_equal(basis, pod(normalised(rows) if normalise else rows, 4))
        assert model.dictionary.choose(problem.features(inputs)).tolist() == [0] * 12


def test_every_sample_gets_the_basis_of_its_cluster() -> None:
    """Two kinds of inputs that features tell apart: each is answered in the span of its own kind alone."""
    problem = Darcy(shape=(12, 12))
    inputs = problem.draw(0, IDS)
    # Where a is large there is little pressure: on the left in one half of the samples, on the right in the other.
    inputs["a"][:6, :, :6] *= 1e3
    inputs["a"][6:, :, 6:] *= 1e3
    fields, _ = simulate(problem, inputs, Direct(), 1e-11)
    model = ReducedBases(modes=6, clusters=2).fit(problem, inputs, fields, seed=0)
    labels = model.dictionary.labels
    assert (labels == labels[0]).tolist() == [True] * 6 + [False] * 6
    assert model.dictionary.choose(problem.features(inputs)).tolist() == labels.tolist()
    assert model.answer(inputs)["u"] == pytest.approx(fields["u"], rel=1e-7)
    again = ReducedBases(modes=6, clusters=2).fit(problem, inputs, fields, seed=0)
    assert np.array_equal(again.answer(inputs)["u"], model.answer(inputs)["u"])


def test_a_singular_reduced_matrix_is_nan() -> None:
    problem = Darcy(shape=(12, 12))
    inputs, fields = solved(problem)
    model = ReducedBases(modes=2).fit(problem, inputs, fields, seed=0)
    twice = Dictionary((np.zeros((144, 1)),), np.zeros(1, int), np.zeros(12, int), None)
    assert np.isnan(type(model)(problem, twice).answer(inputs)["u"]).all()


@pytest.mark.parametrize("name", ["burgers", "elliptic", "heat", "plate"])
def test_a_problem_without_matrices_is_refused(name: str) -> None:
    problem = SMALL[name]
    assert "has no `matrices`" in ReducedBases().unfit(problem)
    with pytest.raises(ValueError, match=f"no reduced model: problem '{name}' has no `matrices`"):
        ReducedBases().fit(problem, problem.draw(0, IDS), {}, seed=0)


@pytest.mark.parametrize("name", LINEAR)
def test_a_problem_with_matrices_is_fit(name: str) -> None:
    assert ReducedBases().unfit(SMALL[name]) == ""


def test_too_few_and_unsolved_snapshots_are_refused() -> None:
    problem = Darcy(shape=(12, 12))
    inputs, fields = solved(problem)
    with pytest.raises(ValueError, match="modes is 13, expected at most 12, the number of snapshots"):
        ReducedBases(modes=13).fit(problem, inputs, fields, seed=0)
    with pytest.raises(ValueError, match="clusters is 13, expected at most 12, the number of snapshots"):
        ReducedBases(modes=2, clusters=13).fit(problem, inputs, fields, seed=0)
    with pytest.raises(ValueError, match="clusters is 6, expected 1 to 5"):
        k_medoids(np.zeros((5, 5)), 6)
    fields["u"][[4, 7]] = np.nan
    with pytest.raises(ValueError, match="2 snapshots are not finite, first 4"):
        ReducedBases(modes=2).fit(problem, inputs, fields, seed=0)


def test_other_than_a_system_per_sample_is_refused() -> None:
    class Halved(Darcy):
        def simulate(self, inputs, solve):
            return super().simulate({"a": inputs["a"][:1]}, solve)

    problem = Darcy(shape=(12, 12))
    inputs, fields = solved(problem)
    model = ReducedBases(modes=2).fit(Halved(shape=(12, 12)), inputs, fields, seed=0)
    with pytest.raises(ValueError, match="posed 1 systems for 12 samples, expected one per sample"):
        model.answer(inputs)
