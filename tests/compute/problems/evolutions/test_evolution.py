from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.catalogue import SHIPPED
from ritz.compute.problems.evolution import Evolution, State
from ritz.compute.problems.evolutions.advection_diffusion import AdvectionDiffusion
from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.evolutions.kuramoto_sivashinsky import KuramotoSivashinsky
from ritz.compute.problems.evolutions.lorenz96 import Lorenz96
from ritz.compute.problems.evolutions.navier_stokes import NavierStokes
from ritz.compute.problems.evolutions.reaction_diffusion import ReactionDiffusion
from ritz.compute.problems.evolutions.wave import Wave
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.systems import Systems

SMALL: list[Evolution] = [
    Heat(shape=(12, 16), steps=5),
    Burgers(points=32, steps=6),
    KuramotoSivashinsky(points=32, steps=12, store_every=2, end=3.0),
    Lorenz96(sites=8, fast=4, steps=20, store_every=4, end=0.1, spin_up=0),
    NavierStokes(shape=(12, 16), steps=12, store_every=2, end=3.0),
    AdvectionDiffusion(shape=(12, 16), steps=8, store_every=2, end=0.3),
    Wave(shape=(12, 16), steps=24, store_every=6, end=0.5),
    ReactionDiffusion(shape=(8, 12), steps=5, end=20.0),
    AllenCahn(shape=(8, 12), steps=5, end=2.0, epsilon=0.1),
]


def solve(systems: Systems) -> np.ndarray:
    return Direct().solve(systems, rtol=1e-10, carry=None)[0].x


def test_all_shipped_evolutions_are_here() -> None:
    shipped = {cls for cls in SHIPPED if issubclass(cls, Evolution)}
    assert shipped == {type(problem) for problem in SMALL}


@pytest.mark.parametrize("problem", SMALL, ids=lambda problem: problem.kind)
def test_steps_in_one_go_are_steps_one_by_one(problem: Evolution) -> None:
    inputs = problem.draw(0, np.arange(3))
    steps = len(problem.times)
    whole = problem.simulate(inputs, solve)
    state = problem.start(inputs)
    assert state.step == 0
    halfway = problem.advance(state, inputs, 2, solve)
    end = problem.advance(halfway, inputs, steps - 2, solve)
    assert (halfway.step, end.step) == (2, steps)
    for name, values in whole.items():
        np.testing.assert_array_equal(halfway.fields[name], values[:, 1])
        np.testing.assert_array_equal(end.fields[name], values[:, -1])
    # What is kept aside makes steps quicker, and no other.
    bare = problem.advance(State(halfway.step, halfway.fields), inputs, steps - 2, solve)
    for name, values in end.fields.items():
        np.testing.assert_allclose(bare.fields[name], values, rtol=0, atol=1e-8 * np.abs(values).max())


@pytest.mark.parametrize("problem", SMALL, ids=lambda problem: problem.kind)
def test_the_states_are_those_at_the_times_of_the_template(problem: Evolution) -> None:
    template = problem.template(1)
    np.testing.assert_array_equal(template["time"], problem.times)
    assert np.all(np.diff(problem.times) > 0)
    state = problem.start(problem.draw(0, np.arange(1)))
    assert set(state.fields) == {name for name, one in template.items() if one.attrs["role"] == "output"}


@pytest.mark.parametrize("problem", SMALL, ids=lambda problem: problem.kind)
def test_a_template_names_the_input_that_holds_the_first_state_of_each_output(problem: Evolution) -> None:
    dimensions, inputs = Dimensions.of(problem.template(1)), problem.draw(0, np.arange(2))
    first = problem.start(inputs).fields
    assert dimensions.times == tuple(problem.times)
    assert set(dimensions.starts) == set(first)
    for name, start in dimensions.starts.items():
        np.testing.assert_array_equal(inputs[start], first[name].astype(np.float32))


@pytest.mark.parametrize("problem", SMALL, ids=lambda problem: problem.kind)
def test_a_prolonged_problem_goes_on_and_a_shorter_one_ends_before(problem: Evolution) -> None:
    count, inputs = len(problem.times), problem.draw(0, np.arange(2))
    own = problem.simulate(inputs, solve)
    for stored in (2, count + 1):
        other = problem.prolonged(stored)
        shared = min(stored, count)
        assert len(other.times) == stored
        np.testing.assert_allclose(other.times[:shared], problem.times[:shared], rtol=1e-12)
        for name, values in other.simulate(inputs, solve).items():
            np.testing.assert_allclose(
                values[:, :shared], own[name][:, :shared], rtol=0, atol=1e-6 * np.abs(own[name]).max()
            )


def test_a_problem_has_a_stored_state_at_least() -> None:
    with pytest.raises(ValueError, match="steps is 0, expected at least 1"):
        Burgers(points=32, steps=6).prolonged(0)
    with pytest.raises(ValueError, match="steps is 1, expected at least 2"):
        Heat(shape=(12, 16), steps=5).prolonged(1)


@pytest.mark.parametrize("name", ["simulate", "advance"])
def test_what_is_made_of_steps_is_not_written_anew(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Own\.{name} is final; expected `start` and `step`"):
        type("Own", (Heat,), {name: lambda *_: None})
