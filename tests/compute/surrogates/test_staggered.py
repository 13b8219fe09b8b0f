from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import ValidationError

from ritz.compute.problems.evolutions.allen_cahn import AllenCahn
from ritz.compute.surrogates.coordinate.deeponet import DeepONet
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.ensemble.ensemble import Ensemble
from ritz.compute.surrogates.ensemble.randomized_prior import RandomizedPrior
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.networks import staggered
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.staggered import Staggered
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO

INNER = FNO(modes=4, width=4, layers=1)

SURROGATES: dict[str, Staggered] = {
    "channels": Staggered(inner=INNER),
    "batch": Staggered(inner=INNER, subfields="batch"),
    "three": Staggered(inner=INNER, stride=3),
    "one-grid": Staggered(inner=FullyConnected(width=5, layers=1)),
}

surrogates = pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES)


def _grid(inputs: int, *shape: int) -> Grid:
    return Grid(shape, ((True,) * len(shape),) * inputs)


@pytest.mark.parametrize("space", [(6,), (4, 6), (2, 4, 8)])
def test_sub_fields_are_every_second_point(space: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *space)
    parts = staggered.subfields(x, 2)
    assert parts.shape == (2, 2 ** len(space), 3, *(n // 2 for n in space))
    for number, first in enumerate(np.ndindex(*(2,) * len(space))):
        points: tuple[Any, ...] = (..., *(slice(begin, None, 2) for begin in first))
        assert torch.equal(parts[:, number], x[points])
    assert torch.equal(staggered.whole(parts, 2), x)


@pytest.mark.parametrize("together", [True, False], ids=["channels", "batch"])
@pytest.mark.parametrize("space", [(7,), (4, 6), (5, 4, 3)])
def test_a_pointwise_map_inside_is_that_map(together: bool, space: tuple[int, ...]) -> None:
    # Also on grids that the stride does not divide.
    module = staggered.Staggered(torch.nn.GELU(), 2, together=together)
    x = torch.randn(2, 3, *space)
    torch.testing.assert_close(module(x), torch.nn.functional.gelu(x), rtol=0, atol=0)


def test_a_network_inside_has_each_sub_field_for_itself_in_a_batch() -> None:
    class Means(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(2, 3), keepdim=True).expand_as(x)

    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    found = staggered.Staggered(Means(), 2, together=False)(x)
    assert found[0, 0].tolist() == [[5, 6, 5, 6], [9, 10, 9, 10]] * 2


def test_a_network_inside_sees_all_values_in_channels() -> None:
    seen: list[torch.Tensor] = []

    class Noting(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x[:, :4]

    x = torch.randn(2, 3, 4, 6)
    found = staggered.Staggered(Noting(), 2, together=True)(x)
    assert seen[0].shape == (2, 12, 2, 3)
    # The sub-fields of a channel stand together, so the first four are those of the first channel.
    assert torch.equal(found, x[:, :1])


@surrogates
def test_gradients_reach_every_parameter_and_samples_do_not_mix(surrogate: Staggered) -> None:
    torch.manual_seed(0)
    built = surrogate.build_on(2, 3, _grid(2, 6, 12))
    x = torch.randn(3, 2, 6, 12, requires_grad=True)
    y = built(x)
    assert y.shape == (3, 3, 6, 12)
    y[1].square().sum().backward()
    idle = [name for name, p in built.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []
    assert x.grad is not None
    reach = x.grad.abs().amax(dim=(2, 3))
    assert (reach[1] > 0).all()
    assert (reach[[0, 2]] == 0).all()


@pytest.mark.parametrize("name", ["channels", "batch", "three"])
def test_what_is_for_any_grid_is_built_without_one(name: str) -> None:
    surrogate = SURROGATES[name]
    torch.manual_seed(0)
    plain = surrogate.build(2, 1)
    torch.manual_seed(0)
    told = surrogate.build_on(2, 1, _grid(2, 8, 8))
    x = torch.randn(1, 2, 10, 7)
    assert surrogate.any_grid
    torch.testing.assert_close(told(x), plain(x), rtol=0, atol=0)


def test_a_network_of_one_grid_inside_gets_the_grid_of_a_sub_field() -> None:
    surrogate = SURROGATES["one-grid"]
    assert not surrogate.any_grid
    grid = Grid((4, 6), ((True, True), (False, False)))
    shapes = [tuple(p.shape) for p in surrogate.build_on(2, 1, grid).parameters() if p.ndim == 2]
    # Four sub-fields of six points and one number each, to four times six points.
    assert shapes == [(5, 4 * 6 + 4), (24, 5)]
    with pytest.raises(ValueError, match=r"training alone, \(2, 3\)"):
        surrogate.build_on(2, 1, grid)(torch.randn(1, 2, 8, 6))
    with pytest.raises(ValueError, match="build_on"):
        surrogate.build(1, 1)


@surrogates
def test_a_model_is_saved_and_read_bit_for_bit(
    surrogate: Staggered, template: xr.Dataset, fields: dict[str, np.ndarray]
) -> None:
    torch.manual_seed(0)
    normalisation = Normalisation.fit(template, fields)
    found = Model(surrogate, normalisation, network(surrogate, normalisation))
    again = Model.from_bytes(found.to_bytes())
    assert again.surrogate == surrogate
    assert again.to_bytes() == found.to_bytes()
    for name, values in found.predict(fields).items():
        np.testing.assert_array_equal(again.predict(fields)[name], values)
    nothing = {name: values[:0] for name, values in fields.items()}
    assert found.predict(nothing)["u"].shape == (0, 16, 12)


def test_it_steps_through_time_and_may_be_a_member() -> None:
    problem = AllenCahn(shape=(8, 8), steps=3, end=0.3)
    inputs = problem.draw(0, np.arange(2))
    fields = inputs | {"u": np.repeat(inputs["u0"][:, None], 3, axis=1)}
    torch.manual_seed(0)
    normalisation = Normalisation.fit(problem.template(1), fields)
    member = Stepping(inner=Staggered(inner=INNER))
    found = Model(member, normalisation, network(member, normalisation).eval())
    assert found.rollout(inputs, (0.1, 0.6))["u"].shape == (2, 2, 8, 8)
    assert Model.from_bytes(found.to_bytes()).surrogate == member
    assert Ensemble(member=Staggered(inner=INNER)).member == Staggered(inner=INNER)


@pytest.mark.parametrize(
    ("surrogate", "grid", "message"),
    [
        (Staggered(), Grid((50,), ((False,),), mesh=True), "'staggered' needs a regular grid"),
        (Staggered(stride=4), _grid(1, 8, 3), r"stride is 4 on a grid of \(8, 3\) points, expected at most 3"),
        (Staggered(), Grid((8,), ((True,),)), "grid.varies is for 1 input channels, expected 2"),
    ],
    ids=["mesh", "few-points", "channels"],
)
def test_grids_it_cannot_work_on_are_refused(surrogate: Staggered, grid: Grid, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        surrogate.build_on(2, 1, grid)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (Stepping(), "inner is 'stepping', which is trained in a way of its own"),
        (RandomizedPrior(), "inner is 'randomized_prior', which is trained in a way of its own"),
        (Mean(), "inner is 'mean', expected a network by itself"),
        (Ensemble(), "inner is 'ensemble', expected a network by itself"),
    ],
    ids=lambda given: getattr(given, "kind", ""),
)
def test_what_is_inside_is_a_network_by_itself(inner: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Staggered(inner=inner)


def test_what_the_network_inside_refuses_is_refused() -> None:
    class Choosy(DeepONet):
        def check(self, grid: Grid) -> None:
            raise ValueError(f"not on {grid.shape}")

    assert isinstance(Choosy(), Network)
    with pytest.raises(ValueError, match=r"not on \(4, 5\)"):
        Staggered(inner=Choosy()).check(_grid(1, 8, 9))
