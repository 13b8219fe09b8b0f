"""Trajectories of several environments, each with its parameter: one of them tells no scale of the parameter."""

from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.fit import Fit
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.trained import Trained
from ritz.compute.training.training import Training, outline

from .conftest import TINY, WIND, Trajectories

STEPS = Stepping(inner=TINY)
TEMPLATE = WIND.template(1)
UNKNOWN = r"expected 2 or more: the inputs \['velocity_x'\] are one number of each sample"


@pytest.mark.parametrize(
    ("training", "surrogate", "samples", "said"),
    [
        (Online(watermark=1), STEPS, 30, "watermark is 1"),
        (Offline(), STEPS, 1, "kind is 'offline' on 1 training samples"),
        (Offline(fitted_on=1), STEPS, 30, "fitted_on is 1"),
        (Fit(), Mean(), 1, "kind is 'fit' on 1 training samples"),
        (Fit(fitted_on=1), Mean(), 30, "fitted_on is 1"),
    ],
)
def test_what_would_be_normalised_by_one_of_them_is_refused_before_any_work(
    training: Training, surrogate: Surrogate, samples: int, said: str
) -> None:
    with pytest.raises(ValueError, match=f"^{said}, {UNKNOWN}"):
        training.check_learning(surrogate, outline(TEMPLATE), WIND, samples)
    # Without a parameter of its own a trajectory tells the scale of all others.
    alone = WIND.model_copy(update={"velocity_x": 1.0})
    training.check_learning(surrogate, outline(alone.template(1)), alone, samples)


def test_a_training_that_gets_no_more_than_one_is_refused() -> None:
    samples = Trajectories(4)
    # Of four samples one validates; two could not be solved.
    samples.split[[1, 2]] = "validate"
    source = samples.source(TEMPLATE, samples=1)
    with pytest.raises(ValueError, match=f"means and scales come of 1 training sample, {UNKNOWN}"):
        Online(watermark=2).fit(STEPS, source, Surroundings())


def fine_tuned(count: int, start: Trained | None = None) -> Trained:
    """Learn from so many trajectories."""
    fields = Trajectories(count).fields
    nothing = {name: values[:0] for name, values in fields.items()}
    passes = InMemory(np.arange(count), fields, (np.arange(0), nothing), 0)
    around = Surroundings(start=None if start is None else start.model)
    training = Offline(epochs=1, batch_size=1, validation=0, start=None if start is None else "winds@v1")
    training.check_learning(STEPS, outline(TEMPLATE), WIND, count)
    return training.fit(STEPS, Given(TEMPLATE, lambda ids: Trajectories(count).refill(ids), fixed=passes), around)


def test_one_is_enough_to_fine_tune_a_model_that_knows_the_scales() -> None:
    first = fine_tuned(4)
    assert fine_tuned(1, first).model.variables == first.model.variables
    with pytest.raises(ValueError, match=UNKNOWN):
        fine_tuned(1)
