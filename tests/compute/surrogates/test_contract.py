from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from compute.surrogates.fno import FNO
from compute.surrogates.fully_connected import FullyConnected
from compute.surrogates.model import Model, network
from compute.surrogates.normalisation import Normalisation
from compute.surrogates.surrogate import Grid, Surrogate

ANY_GRID: list[Surrogate] = [FNO(modes=4, width=6, layers=2), FNO(modes=4, width=6, layers=2, coordinates=False)]

ONE_GRID: list[Surrogate] = [FullyConnected(width=6, layers=2)]

SURROGATES = ANY_GRID + ONE_GRID

surrogates = pytest.mark.parametrize("surrogate", SURROGATES, ids=["fno", "fno-without-coordinates", "fully-connected"])


def _grid(inputs: int, *shape: int) -> Grid:
    return Grid(shape, ((True,) * len(shape),) * inputs)


def _model(surrogate: Surrogate, template: xr.Dataset, fields: dict[str, np.ndarray]) -> Model:
    torch.manual_seed(0)
    normalisation = Normalisation.fit(template, fields)
    return Model(surrogate, normalisation, network(surrogate, normalisation))


@surrogates
@pytest.mark.parametrize("space", [(16,), (16, 16), (8, 12), (9, 7), (3, 4), (6, 8, 4)])
def test_any_grid_in_one_two_and_three_dimensions(surrogate: Surrogate, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    built = surrogate.build_on(3, 2, _grid(3, *space))
    out = built(torch.randn(2, 3, *space))
    assert out.shape == (2, 2, *space)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()


@surrogates
def test_every_parameter_has_a_part_in_the_output(surrogate: Surrogate) -> None:
    torch.manual_seed(0)
    built = surrogate.build_on(2, 1, _grid(2, 12, 12))
    built(torch.randn(3, 2, 12, 12)).square().sum().backward()
    idle = [name for name, p in built.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


@surrogates
def test_every_input_channel_is_seen_and_samples_do_not_mix(surrogate: Surrogate) -> None:
    torch.manual_seed(0)
    built = surrogate.build_on(2, 1, _grid(2, 8, 8)).eval()
    x = torch.randn(3, 2, 8, 8, requires_grad=True)
    built(x)[1].sum().backward()
    assert x.grad is not None
    reach = x.grad.abs().amax(dim=(2, 3))
    assert (reach[1] > 0).all()
    assert (reach[[0, 2]] == 0).all()


@pytest.mark.parametrize("surrogate", ANY_GRID, ids=["fno", "fno-without-coordinates"])
def test_what_is_for_any_grid_is_built_without_one(surrogate: Surrogate) -> None:
    torch.manual_seed(0)
    plain = surrogate.build(2, 1)
    torch.manual_seed(0)
    told = surrogate.build_on(2, 1, _grid(2, 8, 8))
    x = torch.randn(1, 2, 10, 6)
    assert surrogate.any_grid
    torch.testing.assert_close(told(x), plain(x), rtol=0, atol=0)


@pytest.mark.parametrize("surrogate", ONE_GRID, ids=["fully-connected"])
def test_what_is_for_one_grid_refuses_another(surrogate: Surrogate) -> None:
    built = surrogate.build_on(1, 1, _grid(1, 8, 6))
    assert not surrogate.any_grid
    with pytest.raises(ValueError, match=r"on a grid of \(6, 8\) points; .* training alone, \(8, 6\)"):
        built(torch.randn(1, 1, 6, 8))
    with pytest.raises(ValueError, match="build_on"):
        surrogate.build(1, 1)


def test_a_fully_connected_network_takes_every_value_once() -> None:
    grid = Grid((8, 6), ((True, True), (True, False), (False, True), (False, False)))
    built = FullyConnected(width=5, layers=1).build_on(4, 3, grid)
    shapes = [tuple(weights.shape) for weights in built.parameters() if weights.ndim == 2]
    assert shapes == [(5, 8 * 6 + 8 + 6 + 1), (3 * 8 * 6, 5)]
    x = torch.randn(1, 4, 8, 6)
    repeated = torch.stack(
        [x[0, 0], x[0, 1, :, :1].expand(8, 6), x[0, 2, :1].expand(8, 6), x[0, 3, :1, :1].expand(8, 6)]
    )
    # Values that a repeated channel could not have are not looked at.
    torch.testing.assert_close(built(x), built(repeated[None]), rtol=0, atol=0)


def test_a_mesh_is_refused_by_what_needs_a_grid() -> None:
    mesh = Grid((50,), ((False,),), mesh=True)
    with pytest.raises(ValueError, match=r"'fno' needs a regular grid.*take 'fully_connected'"):
        FNO().build_on(1, 1, mesh)
    assert FullyConnected(width=4).build_on(1, 1, mesh)(torch.zeros(2, 1, 50)).shape == (2, 1, 50)


@pytest.mark.parametrize("space", [(15, 16), (16, 15), (15, 15)])
def test_odd_grids_give_what_even_ones_give(space: tuple[int, int]) -> None:
    from compute.surrogates.layers import TruncatedConv

    torch.manual_seed(0)
    layer = TruncatedConv(1, 2, (6, 8))

    def answer(rows: int, columns: int) -> torch.Tensor:
        y, x = 2 * torch.pi * torch.arange(rows) / rows, 2 * torch.pi * torch.arange(columns) / columns
        field = torch.sin(2 * y)[:, None] * torch.cos(x) + torch.cos(y)[:, None] * torch.sin(3 * x) + 0.5
        return layer(field[None, None])[0]

    twice = answer(2 * space[0], 2 * space[1])
    torch.testing.assert_close(answer(*space), twice[:, ::2, ::2], rtol=1e-4, atol=1e-5)


def test_even_grids_give_what_the_library_gives() -> None:
    from neuralop.layers.spectral_convolution import SpectralConv

    from compute.surrogates.layers import TruncatedConv

    torch.manual_seed(0)
    ours, theirs = TruncatedConv(3, 5, (6, 8)), SpectralConv(3, 5, (6, 8))
    theirs.load_state_dict(ours.state_dict())
    for space in ((16, 12), (6, 8), (4, 4), (10, 7), (12, 3)):
        x = torch.randn(2, 3, *space)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


@surrogates
def test_save_and_load_are_equal_to_the_bit(
    surrogate: Surrogate, template: xr.Dataset, fields: dict[str, np.ndarray]
) -> None:
    model = _model(surrogate, template, fields)
    blob = model.to_bytes()
    again = Model.from_bytes(blob)
    assert again.surrogate == surrogate
    assert again.normalisation == model.normalisation
    assert again.to_bytes() == blob
    first, second = model.predict(fields), again.predict(fields)
    assert set(first) == {"u", "k"}
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_a_fresh_process_predicts_the_same(template: xr.Dataset, fields: dict[str, np.ndarray], tmp_path: Any) -> None:
    model = _model(SURROGATES[0], template, fields)
    (tmp_path / "model").write_bytes(model.to_bytes())
    np.savez(tmp_path / "inputs.npz", a=fields["a"], f=fields["f"])
    threads = torch.get_num_threads()
    program = f"""
import pathlib, sys, numpy as np, torch
from compute.surrogates.model import Model
torch.set_num_threads({threads})
inputs = dict(np.load("inputs.npz"))
np.savez("outputs.npz", **Model.from_bytes(pathlib.Path("model").read_bytes()).predict(inputs))
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    with np.load(tmp_path / "outputs.npz") as outputs:
        for name, values in model.predict(fields).items():
            np.testing.assert_array_equal(values, outputs[name])


def test_configuration_alone_loads_no_torch() -> None:
    program = """
import sys
import compute.surrogates.catalogue, compute.surrogates.model, compute.surrogates.baselines
import compute.training.online, compute.uncertainty.conformal, compute.metrics.errors
compute.surrogates.fno.FNO(); compute.surrogates.fully_connected.FullyConnected(); compute.training.online.Online()
compute.uncertainty.conformal.Conformal()
print(sorted({"torch", "neuralop", "sklearn", "prefect"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
