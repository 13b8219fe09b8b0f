"""A training that begins with the weights of another one, such as one on cheaper samples."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.fit import Fit
from ritz.compute.training.offline import Offline
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings
from ritz.compute.training.training import Training

from .conftest import Samples
from .test_checkpoint import Checkpoints, Killed

TINY = FNO(modes=4, width=6, layers=2)
OFFLINE = Offline(epochs=6, batch_size=4, validation=6, seed=2)


def _fit(
    template: xr.Dataset,
    samples: Samples,
    start: Model | None = None,
    kept: Checkpoints | None = None,
    training: Training = OFFLINE,
    surrogate: Surrogate = TINY,
) -> Model:
    def of(split: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        ids = np.flatnonzero(samples.split == split)
        return ids, {name: values[ids] for name, values in samples.fields.items()}

    kept = kept or Checkpoints()
    source = Given(template, samples.refill, fixed=InMemory(*of("train"), of("validate"), 2))
    around = Surroundings(load=kept.load, save=kept.save, save_every_s=0, start=start)
    return training.fit(surrogate, source, around).model


def _coarse(samples: Samples) -> Samples:
    """The same on a grid of half as many points along each axis, and with other numbers."""
    found = Samples(40)
    found.fields = {name: 1.2 * values[:, ::2, ::2] for name, values in samples.fields.items()}
    return found


def _left(kept: Checkpoints) -> Checkpoints:
    found = Checkpoints()
    found.blobs = kept.blobs[-1:]
    return found


def test_it_begins_where_the_other_ended_in_its_normalisation(template: xr.Dataset, samples: Samples) -> None:
    coarse = _coarse(samples)
    first = _fit(template.isel(y=slice(0, 4), x=slice(0, 4)), coarse)
    begun = _fit(template, samples, first, training=OFFLINE.model_copy(update={"epochs": 1e-3, "validation": 0}))
    anew = _fit(template, samples, training=OFFLINE.model_copy(update={"epochs": 1e-3, "validation": 0}))
    assert begun.variables == first.variables != anew.variables
    assert begun.normalisation.dimensions.sizes == {"x": 8, "y": 8}
    truth = samples.fields["u"]
    wrong = [np.linalg.norm(model.predict(samples.fields)["u"] - truth) for model in (begun, anew, first)]
    assert wrong[0] < 0.7 * wrong[1]
    assert wrong[0] == pytest.approx(wrong[2], rel=0.1)


def test_a_killed_one_goes_on_with_the_same_bits_and_not_from_another_start(
    template: xr.Dataset, samples: Samples
) -> None:
    first = _fit(template, samples)
    whole = _fit(template, samples, first)
    kept = Checkpoints(5)
    with pytest.raises(Killed):
        _fit(template, samples, first, kept)
    with pytest.raises(ValueError, match=r"written with another recipe \(differing: \['start'\]\)"):
        _fit(template, samples, whole, _left(kept))
    assert _fit(template, samples, first, _left(kept)).to_bytes() == whole.to_bytes()


def test_another_network_or_other_variables_are_refused(template: xr.Dataset, samples: Samples) -> None:
    first = _fit(template, samples)
    with pytest.raises(ValueError, match="start is a model of FNO"):
        _fit(template, samples, first, surrogate=FullyConnected(width=4))
    with pytest.raises(
        ValueError,
        match=r"start is a model of the variables and channels \{'a': 1, 'u': 1\}, expected \{'u': 1, 'a': 1\}",
    ):
        _fit(template[["u", "a"]], samples, first)
    with pytest.raises(ValueError, match="nothing here begins with weights"):
        _fit(template, samples, first, training=Fit(), surrogate=Mean())
