"""Several networks as one surrogate: their mean, their bytes, what each says, and what is refused."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import ValidationError

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.ensemble.randomized_prior import RandomizedPrior
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.weights import weights

SMALL = FNO(modes=4, width=4, layers=1)

Fields = dict[str, np.ndarray]

MEMBERS: dict[str, Network] = {
    "fno": SMALL,
    "fully-connected": FullyConnected(width=4, layers=1),
    "with-prior": RandomizedPrior(inner=SMALL, scale=0.5),
}


def trained(member: Network, count: int, template: xr.Dataset, fields: Fields) -> list[Model]:
    """Return networks as they were drawn, each with the normalisation of other samples."""
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        normalisation = Normalisation.fit(template, {name: values[seed : seed + 3] for name, values in fields.items()})
        found.append(Model(member, normalisation, network(member, normalisation)))
    return found


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_the_prediction_is_the_mean_of_the_members_in_physical_units(
    member: Network, template: xr.Dataset, fields: Fields
) -> None:
    models = trained(member, 3, template, fields)
    ensemble = Ensemble(member=member, size=3)
    model = ensemble.joined(models)
    alone = [one.predict(fields) for one in models]
    each, mean = model.members(fields, batch=4), model.predict(fields)
    for name in ("u", "k"):
        assert each[name].shape == (3, 6, 16, 12)
        for number, one in enumerate(alone):
            np.testing.assert_allclose(each[name][number], one[name], rtol=1e-3, atol=1e-6 * np.abs(one[name]).max())
        # One of them is a logarithm inside: the mean of what is positive, and not the exponential of a mean.
        np.testing.assert_allclose(mean[name], np.mean(each[name], axis=0, dtype=np.float64), rtol=1e-3, atol=1e-4)
    assert model.size == 3 * models[0].size
    first = ensemble.first(model)
    np.testing.assert_array_equal(first.predict(fields)["u"], alone[0]["u"])
    assert {name: value.tolist() for name, value in weights(first.module).items()} == {
        name: value.tolist() for name, value in weights(models[0].module).items()
    }


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_all_members_are_in_one_file(member: Network, template: xr.Dataset, fields: Fields) -> None:
    model = Ensemble(member=member, size=2).joined(trained(member, 2, template, fields))
    blob = model.to_bytes()
    again = Model.from_bytes(blob)
    assert again.surrogate == model.surrogate
    assert again.to_bytes() == blob
    np.testing.assert_array_equal(again.members(fields)["k"], model.members(fields)["k"])


def test_members_are_drawn_with_replacement(template: xr.Dataset, fields: Fields) -> None:
    model = Ensemble(member=SMALL, size=2).joined(trained(SMALL, 2, template, fields))
    drawn, each = model.sample(fields, 40, seed=1)["u"], model.members(fields)["u"]
    assert drawn.shape == (40, 6, 16, 12)
    which = [[int(np.flatnonzero([np.array_equal(one, row[n]) for row in each])[0]) for n, one in enumerate(draw)]
             for draw in drawn]  # fmt: skip
    assert 0.35 < np.mean(which) < 0.65
    np.testing.assert_array_equal(drawn, model.sample(fields, 40, seed=1)["u"])
    assert not np.array_equal(drawn, model.sample(fields, 40, seed=2)["u"])
    nothing = {name: values[:0] for name, values in fields.items()}
    assert model.sample(nothing, 5, seed=0)["u"].shape == (5, 0, 16, 12)
    assert model.members(nothing)["u"].shape == (2, 0, 16, 12)


def test_what_is_no_ensemble_has_no_members(template: xr.Dataset, fields: Fields) -> None:
    [model] = trained(SMALL, 1, template, fields)
    with pytest.raises(ValueError, match="the surrogate 'fno' has no members; expected 'ensemble'"):
        model.members(fields)
    assert (SMALL.learner, SMALL.trainings) == (SMALL, 1)
    assert SMALL.first(model) is model


@pytest.mark.parametrize("member", [Mean(), Ensemble()], ids=["fitted", "ensemble"])
def test_members_are_networks(member: Surrogate) -> None:
    with pytest.raises(ValidationError, match=f"member is '{member.kind}', expected a network, such as 'fno'"):
        Ensemble(member=member)
    with pytest.raises(ValidationError, match=f"inner is '{member.kind}', expected a network by itself"):
        RandomizedPrior(inner=member)


class Drawing(FullyConnected):
    kind: Literal["drawing"] = "drawing"  # type: ignore[assignment]  # a kind of its own, as every subclass has
    stochastic: ClassVar[bool] = True


def test_members_that_draw_their_answers_are_refused() -> None:
    with pytest.raises(ValidationError, match="member is 'drawing', which draws its answers"):
        Ensemble(member=Drawing())
    with pytest.raises(ValidationError, match="inner is 'drawing', which draws its answers"):
        RandomizedPrior(inner=Drawing())


def test_one_member_is_no_ensemble() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Ensemble(size=1)


def test_members_that_do_not_belong_together_are_named(template: xr.Dataset, fields: Fields) -> None:
    models, ensemble = trained(SMALL, 2, template, fields), Ensemble(member=SMALL, size=2)
    with pytest.raises(ValueError, match="got 1 members, expected size = 2"):
        ensemble.joined(models[:1])
    other = trained(FNO(modes=2, width=4, layers=1), 1, template, fields)
    with pytest.raises(ValueError, match=r"member 1 is .*modes=2.*, expected .*modes=4"):
        ensemble.joined([models[0], *other])
    turned = trained(SMALL, 1, template[["f", "a", "u", "k"]], fields)
    with pytest.raises(ValueError, match="member 1 was trained on other variables or another grid"):
        ensemble.joined([models[0], *turned])


def test_a_prior_stays_as_it_was_drawn_and_is_learnt_around() -> None:
    surrogate = RandomizedPrior(inner=FullyConnected(width=8, layers=1), scale=2.0)
    torch.manual_seed(0)
    module = surrogate.build_on(1, 1, Grid((4,), ((True,),)))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    x = torch.randn(5, 1, 4)
    for _ in range(3):
        optimiser.zero_grad()
        module(x).square().mean().backward()
        optimiser.step()
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.startswith("learning.")}
    learning, prior = module.learning, module.prior
    assert isinstance(learning, torch.nn.Module)
    assert isinstance(prior, torch.nn.Module)
    added = module(x) - learning(x)
    torch.testing.assert_close(added, module.get_buffer("factor") * prior(x))
    many = torch.randn(4000, 1, 4)
    assert float((module(many) - learning(many)).detach().square().mean().sqrt()) == pytest.approx(2, rel=0.3)
    assert not torch.equal(before["learning.perceptron.layers.0.weight"], before["prior.perceptron.layers.0.weight"])
    assert surrogate.parameters(module) == FullyConnected(width=8, layers=1).parameters(learning)
    assert not surrogate.any_grid
    with pytest.raises(ValueError, match="needs a regular grid"):
        RandomizedPrior(inner=SMALL).check(Grid((5,), ((True,),), mesh=True))
    with pytest.raises(ValueError, match="needs a regular grid"):
        Ensemble(member=SMALL).check(Grid((5,), ((True,),), mesh=True))
