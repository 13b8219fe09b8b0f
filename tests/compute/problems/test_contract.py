"""What every family of problems promises, on small instances; what is particular to one is in its own file."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import scipy
from pydantic import TypeAdapter

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolution import Evolution
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.problems.laws import Lognormal
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Problem
from ritz.compute.problems.slotted import slotted_plate
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.training.samples.augmentation import symmetries, transform
from ritz.tasks.recipes import load, names
from tests.compute.problems.families import SMALL, kinds
from tests.compute.problems.test_external import PROBLEM as EXTERNAL

IDS = np.arange(5)

families = pytest.mark.parametrize("problem", SMALL.values(), ids=SMALL)


@pytest.fixture(scope="module", params=list(SMALL.values()), ids=list(SMALL))
def solved(request):
    problem = request.param
    inputs = problem.draw(0, IDS)
    fields, ledger = simulate(problem, inputs, Direct(), 1e-8)
    return problem, inputs, fields, ledger


def test_every_family_is_here_and_has_a_recipe():
    assert {problem.kind for problem in SMALL.values()} == kinds()
    assert {load(name).problem.kind for name in names()} == kinds()


@pytest.mark.parametrize("recipe", names())
def test_the_first_samples_of_a_recipe_can_be_solved(recipe):
    pipeline = load(recipe)
    inputs = pipeline.problem.draw(pipeline.data.seed, np.arange(2))
    fields, ledger = simulate(pipeline.problem, inputs, Direct(), 1e-8)
    assert ledger["status"] == ["ok"] * 2
    assert np.all(pipeline.problem.residual(inputs, fields) <= 1e-8)


@families
def test_the_docstring_states_the_discrete_problem(problem):
    said = str(type(problem).__doc__)
    assert all(f"\n    {section}\n" in said for section in ("Equation", "Discretisation", "Arrays"))
    assert "order" in said
    units = {variable.attrs["units"] for variable in problem.template(1).data_vars.values()}
    assert all(f" {unit}" in said for unit in units - {"1"})
    assert ("dimensionless" in said) == (units == {"1"})


@families
def test_a_template_takes_no_memory_and_explains_itself(problem):
    template = problem.template(10**6)
    assert template.sizes["sample"] == 10**6
    for variable in template.data_vars.values():
        assert variable.values.strides[0] == 0
        assert variable.dims[0] == "sample"
        assert variable.dtype == np.float32
        assert variable.attrs["role"] in ("input", "output")
        assert variable.attrs["transform"] in ("identity", "log")
        assert all(variable.attrs[name] for name in ("units", "long_name"))
    assert all(coordinate.attrs["long_name"] for coordinate in template.coords.values())
    # What a surrogate reads of it.
    dimensions = Dimensions.of(template)
    if not dimensions.mesh:
        assert all(np.all(np.diff(template[dim].values) > 0) for dim in dimensions.sizes)
        assert all(template[dim].attrs["units"] for dim in dimensions.sizes)
        outputs = [dims for name, dims in dimensions.variables.items() if name not in dimensions.inputs]
        # A dimension that numbers components is no axis.
        placed = {"time", *dimensions.space}
        assert all(template[dim].attrs["axis"] for dims in outputs for dim in dims if dim in placed)
        assert dimensions.lengths == pytest.approx([getattr(problem, "length", 1)] * len(dimensions.space))


@families
def test_an_id_has_the_same_bits_in_any_block_and_order(problem):
    whole = problem.draw(3, np.arange(9))
    order = np.random.default_rng(0).permutation(9)
    mixed = problem.draw(3, order)
    blocks = [problem.draw(3, np.arange(9)[part]) for part in (slice(4), slice(4, 8), slice(8, 9))]
    for name, values in whole.items():
        assert np.array_equal(mixed[name], values[order])
        assert np.array_equal(np.concatenate([block[name] for block in blocks]), values)


@families
def test_ids_seeds_and_inputs_have_their_own_numbers(problem):
    drawn = [problem.draw(seed, np.arange(3)) for seed in (0, 1)]
    for name in drawn[0]:
        rows = np.concatenate([inputs[name].reshape(3, -1) for inputs in drawn])
        assert np.all(rows.std(axis=0).max() > 0.1 * np.abs(rows - rows.mean(axis=0)).max())
        assert len({row.tobytes() for row in rows}) == 6


def test_arrays_are_those_of_the_template(solved):
    problem, inputs, fields, _ = solved
    template = problem.template(len(IDS))
    roles = {str(name): variable.attrs["role"] for name, variable in template.data_vars.items()}
    assert {name for name, role in roles.items() if role == "input"} == set(inputs)
    assert {name for name, role in roles.items() if role == "output"} == set(fields)
    for name, values in {**inputs, **fields}.items():
        assert values.shape == template[name].shape
        assert np.isfinite(values).all()
        if template[name].attrs["transform"] == "log":
            assert values.min() > 0
    # Rounded before they are solved with; the outputs are rounded where they are stored.
    assert all(values.dtype == template[name].dtype for name, values in inputs.items())
    assert all(values.dtype == np.float64 for values in fields.values())


def test_features_tell_samples_apart_in_any_block(solved):
    problem, inputs, _, _ = solved
    whole = problem.features(inputs)
    assert whole.dtype == np.float32
    assert whole.shape[0] == len(IDS)
    assert 1 <= whole.shape[1] <= 16
    parts = [problem.features({name: values[i : i + 2] for name, values in inputs.items()}) for i in (0, 2, 4)]
    assert np.array_equal(np.concatenate(parts), whole)
    distances = np.linalg.norm(whole[:, None] - whole[None], axis=2)[~np.eye(len(IDS), dtype=bool)]
    assert distances.min() > 0.1 * distances.max()


def test_residuals_are_small_and_seen_without_the_operators(solved):
    problem, inputs, fields, ledger = solved
    assert ledger["status"] == ["ok"] * len(IDS)
    assert max(ledger["residual"]) <= 1e-8
    assert np.all(problem.residual(inputs, fields) <= 1e-8)


def test_a_residual_sees_one_wrong_value(solved):
    problem, inputs, fields, _ = solved
    for name in fields:
        wrong = {other: values.copy() for other, values in fields.items()}
        flat = wrong[name][2].reshape(-1)
        flat[np.abs(flat).argmax()] *= 1.001
        found = problem.residual(inputs, wrong)
        assert found[2] > 1e-5
        assert np.all(np.delete(found, 2) <= 1e-8)


def test_a_residual_sees_every_input(solved):
    problem, inputs, fields, _ = solved
    for name, values in inputs.items():
        exchanged = {**inputs, name: values[[0, 1, 3, 2, 4]]}
        found = problem.residual(exchanged, fields)
        assert np.all(found[[2, 3]] > 1e-3), name
        assert np.all(found[[0, 1, 4]] <= 1e-8)


def test_what_storing_adds_to_a_residual_keeps_its_bound(solved):
    problem, inputs, fields, _ = solved
    stored = {name: values.astype(np.float32) for name, values in fields.items()}
    found, added = problem.residual(inputs, stored), 2**-24 * problem.rounding(inputs, stored)
    assert np.all(found <= 1e-8 + added)
    assert np.all(found > 0.01 * added)


def test_the_boundary_is_part_of_the_residual(solved):
    problem, inputs, fields, _ = solved
    stored = {name: values.astype(np.float32) for name, values in fields.items()}
    whole, part = problem.residual(inputs, stored), problem.boundary(inputs, stored)
    assert np.all(part <= whole * (1 + 1e-12))
    # No shipped problem has to say the same of both.
    assert np.any(part < 0.999 * whole)


def test_the_boundary_sees_a_wrong_value_there_and_none_far_away(solved):
    problem, inputs, fields, _ = solved
    before = problem.boundary(inputs, fields)
    for name, values in fields.items():
        at_edge, middle = _places(problem, values.shape[1:])
        for place, seen in ((at_edge, True), (middle, False)):
            wrong = {**fields, name: values.copy()}
            wrong[name][(slice(None), *place)] += 1e-3 * np.abs(values).max(axis=tuple(range(1, values.ndim)))
            after = problem.boundary(inputs, wrong)
            assert np.all(problem.residual(inputs, wrong) > 1e-5)
            assert np.all(after > 1e-5) if seen else np.array_equal(after, before)


def _places(problem: Problem, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a place at the boundary and one far from it; in the last state where there is time."""
    if isinstance(problem, Plate):
        plate = slotted_plate(problem.cells)
        return (int(plate.walls[0][0]),), (int(plate.free[len(plate.free) // 2]),)
    if isinstance(problem, Marching):
        # The initial condition alone: a periodic box has no walls, and others spread over all modes.
        return (0,) * len(shape), (shape[0] - 1, *(points // 2 for points in shape[1:]))
    last = (shape[0] - 1,) if isinstance(problem, Evolution) else ()
    space = shape[len(last) :]
    return (*last, *(0 for _ in space)), (*last, *(points // 2 for points in space))


def test_a_tolerance_of_a_problem_says_how_exact_its_fields_are():
    assert Darcy().attained(1e-8) == 1e-8
    assert Darcy().loosened(1e-2) == Darcy()
    for problem in (Elliptic(shape=(12, 12), tolerance=1e-5), Burgers(points=48, steps=6, end=0.2, tolerance=1e-5)):
        inputs = problem.draw(0, IDS)
        fields, _ = simulate(problem, inputs, Direct(), 1e-8)
        found = problem.residual(inputs, fields)
        assert problem.attained(1e-8) == 1e-5
        assert problem.attained(1e-3) == 1e-3
        assert 1e-8 < found.max() <= 1e-5
        assert problem.loosened(1e-6) == problem
        assert problem.loosened(1e-4).attained(1e-8) == 1e-4
        assert problem.loosened(1e-1).attained(1e-8) == 1e-3


def test_a_sample_does_not_depend_on_its_block(solved):
    problem, inputs, fields, _ = solved
    order = np.array([3, 1])
    alone, _ = simulate(problem, {name: values[order] for name, values in inputs.items()}, Direct(), 1e-8)
    for name, values in fields.items():
        assert alone[name] == pytest.approx(values[order], rel=1e-9, abs=1e-10 * np.abs(values).max())


def test_symmetries_turn_solutions_into_solutions(solved):
    problem, inputs, fields, _ = solved
    template = problem.template(1)
    dimensions = Dimensions.of(template)
    group = symmetries(template.attrs["symmetries"], len(dimensions.space))
    # All others are made of a flip or an exchange of two axes each.
    for order, flips in group:
        moved = sum(axis != place for place, axis in enumerate(order))
        if moved + 2 * len(flips) != 2:
            continue

        def turned(name, values, element=(order, flips)):
            if not any(dimensions.along(name)):
                return values[:1]
            channels = transform(dimensions.stack(name, values[:1]), [element], np.zeros(1, dtype=int))
            return dimensions.unstack(name, channels)

        found, _ = simulate(problem, {name: turned(name, values) for name, values in inputs.items()}, Direct(), 1e-8)
        for name, values in fields.items():
            assert found[name] == pytest.approx(turned(name, values), rel=1e-6, abs=1e-8 * np.abs(values).max())


@families
def test_problems_go_through_json_and_pickle(problem):
    adapter = TypeAdapter(AnyProblem)
    assert adapter.validate_python(json.loads(adapter.dump_json(problem))) == problem
    assert adapter.validate_python(problem.kind) == type(problem)()
    assert pickle.loads(pickle.dumps(problem)) == problem


@families
def test_leading_coordinates_may_be_given_and_the_rest_of_a_draw_stays(problem: Problem) -> None:
    assert problem.leading > 0
    given = np.random.default_rng(0).random((len(IDS), problem.leading))
    plain, led = problem.draw(0, IDS), problem.draw_at(0, IDS, given)
    assert {name: (values.shape, values.dtype) for name, values in led.items()} == {
        name: (values.shape, values.dtype) for name, values in plain.items()
    }
    for name, values in problem.draw_at(0, IDS, given[:, :0]).items():
        np.testing.assert_array_equal(values, plain[name])
    # An id has the same bits in any block, and coordinates count one by one.
    for name, values in problem.draw_at(0, IDS[3:4], given[3:4]).items():
        np.testing.assert_array_equal(values[0], led[name][3])
    other = given.copy()
    other[:, 0] = 1 - other[:, 0]
    assert any(not np.array_equal(values, led[name]) for name, values in problem.draw_at(0, IDS, other).items())
    few = problem.draw_at(0, IDS, given[:, :1])
    assert any(not np.array_equal(values, plain[name]) for name, values in few.items())


def test_given_coordinates_have_the_law_of_a_draw() -> None:
    """With the numbers of the draw itself in their places, given as values of the distribution function."""
    law, ids = Lognormal(modes=8), np.arange(3)
    amplitudes, drawn = law.amplitudes(2), law.draw(5, ids, (16, 16))
    largest = np.argsort(-amplitudes, axis=None, kind="stable")[: law.leading(2)]
    numbers = [np.random.Generator(np.random.Philox(np.random.SeedSequence((5, int(i))))) for i in ids]
    normal = np.stack([one.standard_normal(amplitudes.shape).flat[largest] for one in numbers])
    given = law.draw_at(99, ids, (16, 16), scipy.special.ndtr(normal))
    again = np.log(given) - np.log(law.draw_at(99, ids, (16, 16), np.full_like(normal, 0.5)))
    assert law.leading(2) == np.count_nonzero(amplitudes) == 63
    np.testing.assert_allclose(again, np.log(drawn), atol=1e-12)


def test_a_problem_without_coordinates_refuses_them() -> None:
    with pytest.raises(ValueError, match="the draws of problem 'external' take no coordinates, got 2"):
        EXTERNAL.draw_at(0, IDS, np.full((5, 2), 0.5))
