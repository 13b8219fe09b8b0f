from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from ritz.compute.surrogates.attention.transolver import Transolver
from ritz.compute.surrogates.convolutional.mgno import MgNO
from ritz.compute.surrogates.convolutional.neighbourhood import Neighbourhood
from ritz.compute.surrogates.convolutional.unet import UNet
from ritz.compute.surrogates.coordinate.deeponet import DeepONet
from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.families import NETWORKS
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.spectral.local_no import LocalNO
from ritz.compute.surrogates.spectral.tfno import TFNO
from ritz.compute.surrogates.spectral.uno import UNO
from ritz.compute.surrogates.weights import weights

ANY_GRID: dict[str, Network] = {
    "fno": FNO(modes=4, width=6, layers=2),
    "fno-without-coordinates": FNO(modes=4, width=6, layers=2, coordinates=False),
    "fno-patched": FNO(modes=4, width=6, layers=2, levels=1, overlap=0.25),
    "tfno": TFNO(modes=4, width=6, layers=2, rank=0.5),
    "uno": UNO(modes=4, width=6, depth=1),
    "local-no": LocalNO(modes=4, width=6, layers=2, reference=8),
    "local-no-patched": LocalNO(modes=4, width=6, layers=2, reference=8, levels=1),
    "unet": UNet(width=6, depth=2),
    "neighbourhood": Neighbourhood(width=6, layers=2, reach=1),
    "neighbourhood-replicated": Neighbourhood(width=6, layers=1, reach=4, ends="replicate"),
    "mgno": MgNO(width=6, layers=2, levels=3),
    "transolver": Transolver(width=6, layers=2, heads=2, slices=4),
}

ONE_GRID: dict[str, Network] = {
    "fully-connected": FullyConnected(width=6, layers=2),
    "deeponet": DeepONet(width=6, layers=2, basis=5),
}

SURROGATES = ANY_GRID | ONE_GRID

surrogates = pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES)

GRIDS = [(16,), (8, 12), (6, 8, 4)]


def _grid(inputs: int, *shape: int) -> Grid:
    return Grid(shape, ((True,) * len(shape),) * inputs)


def _model(surrogate: Network, template: xr.Dataset, fields: dict[str, np.ndarray]) -> Model:
    torch.manual_seed(0)
    normalisation = Normalisation.fit(template, fields)
    return Model(surrogate, normalisation, network(surrogate, normalisation))


@surrogates
@pytest.mark.parametrize("space", [(16,), (16, 16), (8, 12), (9, 7), (3, 4), (6, 8, 4)])
def test_any_grid_in_one_two_and_three_dimensions(surrogate: Network, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    built = surrogate.build_on(3, 2, _grid(3, *space))
    out = built(torch.randn(2, 3, *space))
    assert out.shape == (2, 2, *space)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()


def test_every_shipped_network_is_tested_here() -> None:
    assert {type(surrogate) for surrogate in SURROGATES.values()} == set(NETWORKS)


@surrogates
@pytest.mark.parametrize("space", GRIDS)
def test_gradients_reach_every_parameter(surrogate: Network, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    built = surrogate.build_on(2, 1, _grid(2, *space))
    built(torch.randn(3, 2, *space)).square().sum().backward()
    idle = [name for name, p in built.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


@surrogates
def test_every_part_of_the_network_changes_the_answer(surrogate: Network) -> None:
    # A block whose answer is thrown away, or a state that is saved and not used, passes all else.
    torch.manual_seed(0)
    built = surrogate.build_on(2, 1, _grid(2, 12, 12)).eval()
    x = torch.randn(1, 2, 12, 12)
    with torch.no_grad():
        before = built(x)
        for name, tensor in built.state_dict().items():
            if not torch.is_tensor(tensor):
                continue
            kept = tensor.clone()
            tensor += 0.1 * torch.randn(tensor.shape)
            assert not torch.equal(built(x), before), name
            tensor.copy_(kept)
        torch.testing.assert_close(built(x), before, rtol=0, atol=0)


@surrogates
def test_every_input_channel_is_seen_and_samples_do_not_mix(surrogate: Network) -> None:
    torch.manual_seed(0)
    built = surrogate.build_on(2, 1, _grid(2, 8, 8)).eval()
    x = torch.randn(3, 2, 8, 8, requires_grad=True)
    built(x)[1].sum().backward()
    assert x.grad is not None
    reach = x.grad.abs().amax(dim=(2, 3))
    assert (reach[1] > 0).all()
    assert (reach[[0, 2]] == 0).all()


@pytest.mark.parametrize("surrogate", ANY_GRID.values(), ids=ANY_GRID)
def test_what_is_for_any_grid_is_built_without_one(surrogate: Network) -> None:
    torch.manual_seed(0)
    plain = surrogate.build(2, 1)
    torch.manual_seed(0)
    told = surrogate.build_on(2, 1, _grid(2, 8, 8))
    x = torch.randn(1, 2, 10, 6)
    assert surrogate.any_grid
    torch.testing.assert_close(told(x), plain(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    "surrogate",
    [
        FNO(modes=4, width=6, layers=2, coordinates=False),
        FNO(modes=4, width=6, layers=2, levels=1, overlap=0.25, coordinates=False),
        TFNO(modes=4, width=6, layers=2, rank=0.5, coordinates=False),
        UNO(modes=4, width=6, depth=1, coordinates=False),
        LocalNO(modes=4, width=6, layers=2, reference=32, coordinates=False),
    ],
    ids=["fno", "fno-patched", "tfno", "uno", "local-no"],
)
def test_an_operator_gives_the_same_on_a_finer_grid(surrogate: Network) -> None:
    torch.manual_seed(0)
    built = surrogate.build(1, 1).eval()

    def bump(points: int) -> torch.Tensor:
        x = (torch.arange(points) + 0.5) / points
        return torch.exp(-40 * (x[:, None] - 0.45) ** 2 - 30 * (x - 0.55) ** 2)[None, None]

    with torch.no_grad():
        coarse, fine = built(bump(48)), torch.nn.functional.avg_pool2d(built(bump(96)), 2)
    # Local kernels end at the walls, which is felt in the cells there; on another grid these are others.
    walls = 4 if surrogate.kind == "local_no" else 0
    inside = (..., slice(walls, 48 - walls), slice(walls, 48 - walls))
    assert (fine - coarse)[inside].norm() / (fine - fine.mean()).norm() < 0.02


@pytest.mark.parametrize("surrogate", ONE_GRID.values(), ids=ONE_GRID)
def test_what_is_for_one_grid_refuses_another(surrogate: Network) -> None:
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


MESH = Grid((50,), ((False,),), mesh=True)


@surrogates
def test_a_mesh_is_learnt_or_refused(surrogate: Network) -> None:
    if surrogate.kind in ("fully_connected", "transolver"):
        torch.manual_seed(0)
        built = surrogate.build_on(1, 2, MESH)
        answer = built(torch.zeros(3, 1, 50))
        assert answer.shape == (3, 2, 50)
        # One number a sample for all nodes, and still each of them has an answer of its own.
        assert answer.std(dim=2).min() > 0
        with pytest.raises(ValueError, match="training alone"):
            built(torch.zeros(3, 1, 49))
        return
    with pytest.raises(ValueError, match=f"{surrogate.kind!r} needs a regular grid.*take 'fully_connected' or"):
        surrogate.build_on(1, 1, MESH)


@surrogates
def test_save_and_load_are_equal_to_the_bit(
    surrogate: Network, template: xr.Dataset, fields: dict[str, np.ndarray]
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


@pytest.mark.parametrize("surrogate", [FullyConnected(width=6), DeepONet(width=6, basis=4), FNO(modes=2, width=4)])
def test_numbers_alone_are_inputs(surrogate: Network) -> None:
    fields = {
        "source": np.linspace(1, 2, 6, dtype=np.float32),
        "walls": np.arange(12, dtype=np.float32).reshape(6, 2),
        "u": np.random.default_rng(0).standard_normal((6, 3, 8)).astype(np.float32),
    }
    template = xr.Dataset(
        {
            "source": (("sample",), fields["source"], {"role": "input"}),
            "walls": (("sample", "wall"), fields["walls"], {"role": "input"}),
            "u": (("sample", "time", "x"), fields["u"], {"role": "output"}),
        }
    )
    model = _model(surrogate, template, fields)
    if isinstance(surrogate, FullyConnected):
        assert next(model.module.parameters()).shape == (6, 3)
    predicted = Model.from_bytes(model.to_bytes()).predict({name: fields[name] for name in ("source", "walls")})["u"]
    assert predicted.shape == (6, 3, 8)
    assert np.abs(np.diff(predicted, axis=0)).min() > 0


def _saved(space: tuple[int, ...]) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    rng = np.random.default_rng(4)
    fields = {name: rng.standard_normal((3, *space)).astype(np.float32) for name in ("a", "u")}
    dims = ("sample", *("z", "y", "x")[-len(space) :])
    roles = {"a": "input", "u": "output"}
    return xr.Dataset({name: (dims, fields[name], {"role": role}) for name, role in roles.items()}), fields


def test_a_fresh_process_predicts_the_same(tmp_path: Any) -> None:
    # One process for all: to load torch and neuralop takes longer than all predictions.
    expected = {}
    for space in GRIDS:
        template, fields = _saved(space)
        np.save(tmp_path / f"{len(space)}.npy", fields["a"])
        for name, surrogate in SURROGATES.items():
            model = _model(surrogate, template, fields)
            assert all(np.abs(values).max() > 0 for values in weights(model.module).values() if values.ndim > 1)
            (tmp_path / f"{len(space)}-{name}").write_bytes(model.to_bytes())
            expected[f"{len(space)}-{name}"] = model.predict(fields)["u"]
    program = f"""
import pathlib, numpy as np, torch
from ritz.compute.surrogates.model import Model
torch.set_num_threads({torch.get_num_threads()})
found = {{}}
for path in sorted(pathlib.Path(".").glob("*-*")):
    a = np.load(path.name[0] + ".npy")
    found[path.name] = Model.from_bytes(path.read_bytes()).predict({{"a": a}})["u"]
np.savez("outputs.npz", **found)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert set(outputs) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(values, outputs[name], err_msg=name)


def test_configuration_alone_loads_no_torch() -> None:
    program = """
import sys
from ritz.compute.surrogates.catalogue import SHIPPED, Closure
import ritz.compute.surrogates.model, ritz.compute.surrogates.fitted.baselines
import ritz.compute.training.online, ritz.compute.uncertainty.conformal.conformal, ritz.compute.fields.errors
[surrogate() for surrogate in SHIPPED if surrogate is not Closure]; Closure(coarse="lorenz96")
ritz.compute.training.online.Online()
ritz.compute.uncertainty.conformal.conformal.Conformal()
print(sorted({"torch", "neuralop", "sklearn", "prefect"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
