"""A surrogate that is fitted at once: one step that names all samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.compute.fields.errors import relative_l2
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.training.fit import Fit
from ritz.compute.training.losses.physics import Residual
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.replay import Recorded, compare, replay
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Progress, Surroundings
from ritz.compute.training.trained import Trained
from ritz.compute.training.training import Training

from .conftest import Samples
from .test_checkpoint import Checkpoints

FIT = Fit(validation=6, seed=2)


def _source(template: xr.Dataset, samples: Samples) -> Given:
    def of(split: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        ids = np.flatnonzero(samples.split == split)
        return ids, {name: values[ids] for name, values in samples.fields.items()}

    return Given(template, samples.refill, fixed=InMemory(*of("train"), of("validate"), 2))


def _fit(template: xr.Dataset, samples: Samples, surrogate: Fitted | None = None, **around: Any) -> Trained:
    return FIT.fit(surrogate or PCARidge(), _source(template, samples), Surroundings(**around))


def test_a_fit_is_one_step_that_names_all_samples(template: xr.Dataset, samples: Samples) -> None:
    progress: list[Progress] = []
    fit = _fit(template, samples, progress=progress.append)
    train = np.flatnonzero(samples.split == "train")
    assert fit.schedule.shape == (1, 30)
    np.testing.assert_array_equal(np.sort(fit.schedule[0]), train)
    assert (fit.total, fit.unseen, fit.stopped, fit.best, fit.received) == (1, 0, None, None, {})
    assert progress[-1] == Progress(1, 1, 30, 30, fit.curve[0].loss, fit.curve[0].validate)
    [record] = fit.curve
    held = fit.validation
    assert samples.split[held].tolist() == ["validate"] * 6
    fields = {name: values[fit.schedule[0]] for name, values in samples.fields.items()}
    wrong = [relative_l2(fit.model.predict({"a": x})["u"], u).mean() for x, u in (
        (samples.fields["a"][held], samples.fields["u"][held]), (fields["a"], fields["u"])
    )]  # fmt: skip
    assert (record.validate, record.loss) == pytest.approx(wrong, rel=1e-6)
    assert fit.trace.losses == [record.loss]
    # It is what the surrogate learns from these samples by itself.
    normalisation = Normalisation.fit(template, {k: v[train] for k, v in samples.fields.items()})
    assert fit.model.normalisation == normalisation
    assert fit.model.to_bytes() == Model.fitted(PCARidge(), normalisation, [fields]).to_bytes()


def test_no_optimiser_is_made(template: xr.Dataset, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.optim.Optimizer, "__init__", None)
    monkeypatch.setattr(torch.Tensor, "backward", None)
    assert _fit(template, samples).model.size > 0


@pytest.mark.parametrize("surrogate", [PCARidge(degree=2), Mean()], ids=lambda one: one.kind)
def test_a_finished_fit_is_not_done_again(
    surrogate: Fitted, template: xr.Dataset, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Checkpoints()
    around = {"load": kept.load, "save": kept.save}
    whole = _fit(template, samples, surrogate, **around)
    monkeypatch.setattr(type(surrogate), "learn", None)
    again = _fit(template, samples, surrogate, **around)
    assert again.model.to_bytes() == whole.model.to_bytes()
    assert (again.curve, again.trace.losses) == (whole.curve, whole.trace.losses)
    np.testing.assert_array_equal(again.schedule, whole.schedule)


def test_a_fit_is_replayed_bit_for_bit_and_another_sample_is_found(template: xr.Dataset, samples: Samples) -> None:
    fit = _fit(template, samples)

    def fields(ids: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values[ids] for name, values in samples.fields.items()}

    def again(schedule: np.ndarray) -> dict[str, Any]:
        recorded = Recorded(
            schedule, np.array(fit.trace.losses), fit.curve, fit.validation, fit.total, fit.trace.machines, fit.model
        )
        steps = ((ids, fields(ids)) for ids in schedule)
        return compare(recorded, replay(FIT, "square", recorded, steps, fields(fit.validation))).document()

    found = again(fit.schedule)
    assert (found["agrees"], found["exact"], found["equal"], found["steps"]) == (True, True, True, 1)
    swapped = fit.schedule.copy()
    swapped[0, 3] = 3
    assert again(swapped)["first_difference"]["step"] == 1


@pytest.mark.parametrize(
    ("training", "surrogate", "message"),
    [
        (FIT, FullyConnected(), "training.kind is 'fit' with the surrogate 'fully_connected', expected 'online' or"),
        (Offline(), PCARidge(), "training.kind is 'offline' with the surrogate 'pca_ridge', expected 'fit'"),
        (Online(), Mean(), "training.kind is 'online' with the surrogate 'mean', expected 'fit'"),
    ],
)
def test_a_wrong_pair_is_refused(
    training: Training, surrogate: Any, message: str, template: xr.Dataset, samples: Samples
) -> None:
    assert training.unfit(surrogate).startswith(message)
    # It has no samples to give: they are not asked for.
    nothing = Given(template, samples.refill)
    with pytest.raises(ValueError, match=message):
        training.fit(surrogate, nothing, Surroundings())


def test_a_loss_that_is_not_to_be_had_is_refused_before_samples_are_read(
    template: xr.Dataset, samples: Samples
) -> None:
    offline = Offline(losses=(Residual(),), coarse=0.0)
    with pytest.raises(ValueError, match=r"losses has 'residual', and .* has no `penalty`"):
        offline.fit(FullyConnected(), Given(template, samples.refill), Surroundings())


def test_too_few_samples_are_refused_before_the_fit(template: xr.Dataset, samples: Samples) -> None:
    from ritz.compute.problems.darcy import Darcy

    normalisation = Normalisation.fit(template, samples.fields)
    FIT.check_learning(PCARidge(), normalisation, Darcy(), 3)
    with pytest.raises(ValueError, match="'fit' on 2 training samples, expected at least 3 for the surrogate 'pca_"):
        FIT.check_learning(PCARidge(), normalisation, Darcy(), 2)
