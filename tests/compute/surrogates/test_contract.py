from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from compute.surrogates.fno import FNO
from compute.surrogates.model import Model, network
from compute.surrogates.normalisation import Normalisation
from compute.surrogates.surrogate import Surrogate

SURROGATES = [FNO(modes=4, width=6, layers=2), FNO(modes=4, width=6, layers=2, coordinates=False)]

surrogates = pytest.mark.parametrize("surrogate", SURROGATES, ids=["fno", "fno-without-coordinates"])


def _model(surrogate: Surrogate, template: xr.Dataset, fields: dict[str, np.ndarray]) -> Model:
    torch.manual_seed(0)
    normalisation = Normalisation.fit(template, fields)
    return Model(surrogate, normalisation, network(surrogate, normalisation))


@surrogates
@pytest.mark.parametrize("space", [(16,), (16, 16), (8, 12), (9, 7), (3, 4), (6, 8, 4)])
def test_any_grid_in_one_two_and_three_dimensions(surrogate: Surrogate, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    built = surrogate.build(3, 2, axes=len(space))
    out = built(torch.randn(2, 3, *space))
    assert out.shape == (2, 2, *space)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()


@surrogates
def test_every_parameter_has_a_part_in_the_output(surrogate: Surrogate) -> None:
    torch.manual_seed(0)
    built = surrogate.build(2, 1)
    built(torch.randn(3, 2, 12, 12)).square().sum().backward()
    idle = [name for name, p in built.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


@surrogates
def test_every_input_channel_is_seen_and_samples_do_not_mix(surrogate: Surrogate) -> None:
    torch.manual_seed(0)
    built = surrogate.build(2, 1).eval()
    x = torch.randn(3, 2, 8, 8, requires_grad=True)
    built(x)[1].sum().backward()
    assert x.grad is not None
    reach = x.grad.abs().amax(dim=(2, 3))
    assert (reach[1] > 0).all()
    assert (reach[[0, 2]] == 0).all()


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
compute.training.online.Online(); compute.surrogates.fno.FNO(); compute.uncertainty.conformal.Conformal()
print(sorted({"torch", "neuralop", "sklearn", "prefect"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
