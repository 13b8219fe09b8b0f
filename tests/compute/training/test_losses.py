from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
import xarray as xr

from ritz.compute.fields.errors import relative_h1, relative_l2
from ritz.compute.problems.acoustic import Acoustic
from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.elliptic import Elliptic
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.helmholtz import Helmholtz
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.poisson import Poisson
from ritz.compute.problems.problem import Problem
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.training.losses.fields import RelativeH1, RelativeL2
from ritz.compute.training.losses.loss import Batch, Loss
from ritz.compute.training.losses.physics import Residual, decoded, unstacked
from ritz.compute.training.training import outline

Arrays = dict[str, np.ndarray]


def _batch(normalisation: Normalisation, prediction: Arrays, fields: Arrays) -> Batch:
    """A batch in float64, apart from the normalised inputs."""

    def channels(found: Arrays) -> torch.Tensor:
        parts = [normalisation.dimensions.stack(v.name, found[v.name]) for v in normalisation.outputs]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    x = torch.from_numpy(normalisation.encode("input", fields))
    return Batch(normalisation, x, channels(prediction), channels(fields))


@pytest.fixture
def made() -> tuple[Normalisation, Arrays, Arrays]:
    """Two outputs over time and over components on a grid of 6 × 10 cells of other sizes."""
    rng = np.random.default_rng(0)
    dims = {"a": ("y", "x"), "w": ("x",), "u": ("time", "y", "x"), "v": ("y", "x", "part")}
    sizes = {"y": 6, "x": 10, "time": 3, "part": 2}
    coords = {"y": ("y", 2 * (np.arange(6) + 0.5) / 6), "x": ("x", (np.arange(10) + 0.5) / 10)}
    fields = {name: rng.standard_normal((4, *(sizes[d] for d in ds))) for name, ds in dims.items()}
    template = xr.Dataset(
        {n: (("sample", *dims[n]), v, {"role": "input" if n in "aw" else "output"}) for n, v in fields.items()}, coords
    )
    prediction = {name: fields[name] + 0.1 * rng.standard_normal(fields[name].shape) for name in "uv"}
    return Normalisation.fit(template, fields), fields, prediction


def test_relative_errors_are_those_of_the_metrics(made: tuple[Normalisation, Arrays, Arrays]) -> None:
    normalisation, fields, prediction = made
    batch = _batch(normalisation, prediction, fields)
    expected = np.mean([relative_l2(prediction[n], fields[n]).mean() for n in "uv"])
    assert RelativeL2().value(batch, None).item() == pytest.approx(expected, rel=1e-12)
    space = {"u": (2, 3), "v": (1, 2)}
    expected = np.mean([relative_h1(prediction[n], fields[n], (2.0, 1.0), space[n]).mean() for n in "uv"])
    assert RelativeH1().value(batch, None).item() == pytest.approx(expected, rel=1e-10)


def test_spectral_derivatives_are_exact_for_waves() -> None:
    x, y = (np.arange(16) + 0.5) / 16, 2 * (np.arange(8) + 0.5) / 8
    wave = np.sin(2 * np.pi * (3 * x[None] + y[:, None] / 2))[None]
    other = np.cos(2 * np.pi * x)[None, None] * np.ones((1, 8, 1))
    template = xr.Dataset(
        {
            "a": (("sample", "y", "x"), wave, {"role": "input"}),
            "u": (("sample", "y", "x"), wave, {"role": "output"}),
        },
        {"y": ("y", y), "x": ("x", x)},
    )
    fields = {"a": wave, "u": wave}
    batch = _batch(Normalisation.fit(template, fields), {"u": wave + other}, fields)
    squares = [1 + (2 * np.pi) ** 2 * k for k in (1.0, 9 + 0.25)]
    expected = np.sqrt(squares[0] / squares[1])
    assert RelativeH1(derivative="spectral").value(batch, None).item() == pytest.approx(expected, rel=1e-9)
    # Differences see the steeper wave, of 5 points, flatter than it is, and so the error larger.
    assert 1.05 * expected < RelativeH1().value(batch, None).item() < 1.2 * expected


def test_channels_become_variables_again(made: tuple[Normalisation, Arrays, Arrays]) -> None:
    normalisation, fields, _ = made
    batch = _batch(normalisation, fields, fields)
    inputs, outputs = decoded(normalisation, batch.x), unstacked(normalisation, "output", batch.truth)
    for name, values in (inputs | outputs).items():
        np.testing.assert_allclose(values.numpy(), fields[name], rtol=1e-5, atol=1e-5)


PROBLEMS: dict[str, Problem] = {
    "darcy-2d": Darcy(shape=(6, 8)),
    "darcy-3d": Darcy(shape=(4, 5, 6)),
    "poisson": Poisson(shape=(6, 8)),
    "elliptic": Elliptic(shape=(6, 8)),
    "convection-closed": Convection(shape=(6, 8)),
    "convection-open": Convection(shape=(6, 8), walls="open"),
    "helmholtz": Helmholtz(shape=(6, 8), wavenumber=4.0),
    "acoustic": Acoustic(shape=(4, 5, 6), wavenumber=4.0),
    "heat": Heat(shape=(6, 8), steps=3),
    "burgers": Burgers(points=16, steps=4),
    "plate": Plate(cells=8),
}


class Untensored(Plate):
    """One whose equations are for NumPy alone."""

    in_torch: ClassVar[bool] = False


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_penalty_is_the_residual_and_can_be_differentiated(name: str) -> None:
    problem = PROBLEMS[name]
    inputs = {k: v.astype(np.float64) for k, v in problem.draw(0, np.arange(3)).items()}
    solved, _ = simulate(problem, inputs, Direct(), 1e-12)
    (output,) = solved
    exact, given = solved[output], {k: torch.from_numpy(v) for k, v in inputs.items()}

    def penalty(field: np.ndarray | torch.Tensor) -> torch.Tensor:
        return problem.penalty(given, {output: torch.as_tensor(field)})

    assert penalty(exact).max() < max(1e-9, problem.attained(1e-12))
    rough = exact + 0.01 * np.random.default_rng(1).standard_normal(exact.shape)
    found = penalty(rough)
    if "time" not in problem.template(1)[output].dims:
        np.testing.assert_allclose(found.numpy(), problem.residual(inputs, {output: rough}), rtol=1e-10)
    else:
        # The residual is that of the worst step: one perturbed state of many is in the mean by its share.
        count = rough.shape[1]
        assert (found.numpy() <= problem.residual(inputs, {output: rough})).all()
        last = exact.copy()
        last[:, -1] = rough[:, -1]
        np.testing.assert_allclose(count * penalty(last), problem.residual(inputs, {output: last}), rtol=1e-6)
    u = torch.from_numpy(rough).requires_grad_()
    value = penalty(u).sum()
    value.backward()
    assert u.grad is not None
    step = 1e-4 * u.grad / u.grad.norm()
    change = penalty((u + step).detach()).sum() - value
    # States before a step are not differentiated where they only set the scale.
    assert change.item() == pytest.approx(1e-4 * u.grad.norm().item(), rel=0.2)


@pytest.mark.parametrize(
    ("loss", "problem", "coarse", "message"),
    [
        (Residual(), Untensored(cells=8), 0.0, "problem 'plate' has no `penalty`, .* expected a problem that has"),
        (Residual(), Darcy(), 0.5, "'residual' with coarse = 0.5, expected coarse = 0"),
        (RelativeH1(), Plate(cells=8), 0.0, "problem 'plate' lies on an uneven grid or a mesh"),
        (RelativeH1(), Burgers(points=4), 0.5, r"grid of \(4,\) points; expected at least 6"),
    ],
)
def test_losses_that_are_not_to_be_had_are_refused(loss: Loss, problem: Problem, coarse: float, message: str) -> None:
    penalty = problem.penalty if problem.has_penalty else None
    with pytest.raises(ValueError, match=message):
        loss.check(outline(problem.template(1)), penalty, problem.kind, coarse)
