"""What every fitted surrogate promises, on a line, a plane, a box and a mesh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from ritz.compute.surrogates.families import FITTED
from ritz.compute.surrogates.fitted.fitted import Fitted
from ritz.compute.surrogates.fitted.mean import Mean
from ritz.compute.surrogates.fitted.pca_ridge import PCARidge
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Arrays, Normalisation
from ritz.compute.surrogates.weights import weights

SURROGATES: dict[str, Fitted] = {
    "linear": PCARidge(components=(2, 4)),
    "quadratic": PCARidge(degree=2, components=(3,)),
    "mean": Mean(),
}

surrogates = pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES)
spaces = pytest.mark.parametrize("space", [(16,), (8, 12), (6, 4, 5)])

N = 20


def _samples(space: tuple[int, ...], n: int = N) -> tuple[xr.Dataset, Arrays]:
    """A field, a line of it and a number in; a field at two times out."""
    rng = np.random.default_rng(len(space))
    dims = ("z", "y", "x")[-len(space) :]
    z = rng.standard_normal((n, 3)) @ rng.standard_normal((3, int(np.prod(space))))
    fields = {
        "a": np.exp(z.reshape(n, *space)).astype(np.float32),
        "west": rng.standard_normal((n, space[0])).astype(np.float32),
        "nu": rng.standard_normal(n).astype(np.float32),
    }
    sums = z.reshape(n, *space) + fields["nu"].reshape(n, *(1,) * len(space))
    fields["u"] = np.stack([sums, 3 * sums**2 + 1], axis=1).astype(np.float32)
    of = {"a": dims, "west": dims[:1], "nu": (), "u": ("time", *dims)}
    about = {name: {"role": "output" if name == "u" else "input"} for name in fields}
    about["a"]["transform"] = "log"
    variables = {name: (("sample", *of[name]), values, about[name]) for name, values in fields.items()}
    return xr.Dataset(variables), fields


def _model(surrogate: Fitted, space: tuple[int, ...]) -> tuple[Model, Arrays]:
    template, fields = _samples(space)
    return Model.fitted(surrogate, Normalisation.fit(template, fields), [fields]), fields


def test_every_shipped_fitted_surrogate_is_tested_here() -> None:
    assert {type(surrogate) for surrogate in SURROGATES.values()} == set(FITTED)


@surrogates
@spaces
def test_what_is_learnt_is_buffers_and_predicts_fields(surrogate: Fitted, space: tuple[int, ...]) -> None:
    model, fields = _model(surrogate, space)
    assert list(model.module.parameters()) == []
    assert model.size == sum(values.size for values in weights(model.module).values()) > 0
    assert model.device == "cpu"
    predicted = model.predict(fields)["u"]
    assert predicted.shape == fields["u"].shape
    assert predicted.dtype == np.float32
    # No worse than the mean on what it has seen.
    wrong = np.linalg.norm(predicted - fields["u"])
    assert wrong <= (1 + 1e-5) * np.linalg.norm(fields["u"] - fields["u"].mean(axis=0))


@surrogates
@spaces
def test_every_buffer_changes_the_answer(surrogate: Fitted, space: tuple[int, ...]) -> None:
    model, fields = _model(surrogate, space)
    before = model.predict(fields)["u"]
    for name, buffer in model.module.state_dict().items():
        kept = buffer.clone()
        buffer += 0.1 * torch.randn(buffer.shape, dtype=buffer.dtype)
        assert not np.array_equal(model.predict(fields)["u"], before), name
        buffer.copy_(kept)
    np.testing.assert_array_equal(model.predict(fields)["u"], before)


@surrogates
def test_a_fit_depends_on_the_samples_alone_and_not_on_their_blocks(surrogate: Fitted) -> None:
    template, fields = _samples((8, 12))
    normalisation = Normalisation.fit(template, fields)
    blocks = [{name: values[start : start + 7] for name, values in fields.items()} for start in range(0, N, 7)]
    one, other = (weights(surrogate.fit(normalisation, given)) for given in ([fields], blocks))
    assert set(one) == set(other)
    for name, values in one.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-6)


@surrogates
def test_too_few_samples_and_another_grid_are_refused(surrogate: Fitted) -> None:
    model, fields = _model(surrogate, (8, 12))
    few = {name: values[: surrogate.least - 1] for name, values in fields.items()}
    with pytest.raises(ValueError, match=rf"got {surrogate.least - 1} .*expected at least {surrogate.least}"):
        surrogate.fit(model.normalisation, [few])
    finer = {"a": np.repeat(fields["a"], 2, axis=2), "west": fields["west"], "nu": fields["nu"]}
    assert not surrogate.any_grid
    with pytest.raises(ValueError, match=r"on a grid of \(8, 24\) points; .* training alone, \(8, 12\)"):
        model.predict(finer)


@surrogates
def test_other_tensors_are_refused(surrogate: Fitted) -> None:
    model, _ = _model(surrogate, (16,))
    tensors = weights(model.module)
    for wrong in (tensors | {"strange": np.zeros(3)}, {}):
        with pytest.raises(ValueError, match=r"the tensors are .*, expected "):
            surrogate.restored(model.normalisation, wrong)


@surrogates
@spaces
def test_save_and_load_are_equal_to_the_bit(surrogate: Fitted, space: tuple[int, ...]) -> None:
    model, fields = _model(surrogate, space)
    again = Model.from_bytes(model.to_bytes())
    assert (again.surrogate, again.to_bytes()) == (surrogate, model.to_bytes())
    np.testing.assert_array_equal(again.predict(fields)["u"], model.predict(fields)["u"])


@surrogates
def test_there_is_nothing_to_draw_from_a_deterministic_surrogate(surrogate: Fitted) -> None:
    model, fields = _model(surrogate, (16,))
    assert not surrogate.stochastic
    with pytest.raises(ValueError, match=f"the surrogate '{surrogate.kind}' is deterministic"):
        model.sample(fields, members=2, seed=0)


def test_a_fresh_process_predicts_the_same(tmp_path: Path) -> None:
    expected = {}
    for name, surrogate in SURROGATES.items():
        model, fields = _model(surrogate, (8, 12))
        (tmp_path / f"{name}.model").write_bytes(model.to_bytes())
        expected[name] = model.predict(fields)["u"]
    np.savez(tmp_path / "inputs.npz", **{name: fields[name] for name in ("a", "west", "nu")})  # type: ignore[arg-type]  # NumPy's stub takes the arrays for its own options
    program = f"""
import pathlib, numpy as np, torch
from ritz.compute.surrogates.model import Model
torch.set_num_threads({torch.get_num_threads()})
inputs = dict(np.load("inputs.npz"))
paths = sorted(pathlib.Path(".").glob("*.model"))
np.savez("outputs.npz", **{{p.stem: Model.from_bytes(p.read_bytes()).predict(inputs)["u"] for p in paths}})
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert set(outputs) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(values, outputs[name], err_msg=name)
