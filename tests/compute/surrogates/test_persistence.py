from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.surrogates.catalogue import AnySurrogate
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.baselines import IN_TIME, baselines
from ritz.compute.surrogates.rollout.persistence import Persistence
from tests.compute.surrogates.test_stepping import TIMES, samples, template


@pytest.fixture(scope="module")
def model() -> Model:
    normalisation = Normalisation.fit(template(5), samples())
    return Model.fitted(Persistence(), normalisation, [samples()])


def test_every_time_has_the_first_state_of_its_output(model: Model) -> None:
    fields = samples(3)
    predicted = model.predict(fields)
    for name in ("u", "v"):
        assert predicted[name].shape == fields[name].shape
        for time in range(len(TIMES)):
            np.testing.assert_allclose(predicted[name][:, time], fields[f"{name}0"], rtol=1e-5, atol=1e-5)


def test_it_works_on_any_grid_and_comes_back_from_its_file(model: Model) -> None:
    finer = {name: np.repeat(values, 2, axis=-1) for name, values in samples(2).items()}
    again = Model.from_bytes(model.to_bytes())
    assert isinstance(again.surrogate, Persistence)
    np.testing.assert_array_equal(again.predict(finer)["u"], model.predict(finer)["u"])
    np.testing.assert_allclose(model.predict(finer)["u"][:, 1], finer["u0"], rtol=1e-5)


def test_it_needs_no_samples_and_a_recipe_can_name_it() -> None:
    from pydantic import TypeAdapter

    assert TypeAdapter(AnySurrogate).validate_python("persistence") == Persistence()
    normalisation = Normalisation.fit(template(5), samples())
    assert Persistence().least == 0
    assert set(Persistence().learn(normalisation, [])) == {"channel", "factor", "shift"}


def test_problems_in_time_alone_have_it_as_a_baseline() -> None:
    burgers, darcy = Burgers(points=16, steps=2), Darcy(shape=(8, 8))
    found = {}
    for problem in (burgers, darcy):
        shapes = {str(name): one.shape for name, one in problem.template(4).items()}
        fields = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
        found[problem.kind] = Normalisation.fit(problem.template(4), fields)
    assert baselines(found["burgers"]) == BASELINES | IN_TIME
    assert baselines(found["darcy"]) == BASELINES
    with pytest.raises(ValueError, match=r"'persistence' needs a problem in time.*initial_state"):
        Persistence().fit(found["darcy"], [])


def test_a_first_state_in_another_transform_is_refused() -> None:
    other = template(5)
    fields = samples()
    fields["u0"] = np.exp(fields["u0"])
    other["u0"].attrs["transform"] = "log"
    with pytest.raises(ValueError, match="'u' has the transform 'identity' and its state at time zero 'u0' has 'log'"):
        Persistence().fit(Normalisation.fit(other, fields), [])
