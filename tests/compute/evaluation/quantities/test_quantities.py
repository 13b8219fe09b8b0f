"""Numbers that users want to know of a sample, against fields whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from ritz.compute.evaluation.quantities.catalogue import SHIPPED, AnyQuantity
from ritz.compute.evaluation.quantities.fields import Integral, Largest, MeanValue, Norm, PointValue
from ritz.compute.evaluation.quantities.quantity import Quantity
from ritz.compute.evaluation.quantities.wall import WallFlux
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.evolutions.heat import Heat
from ritz.compute.problems.plate import Plate
from ritz.compute.problems.problem import Problem
from tests.compute.problems.families import SMALL

SHAPE = (12, 16)

QUANTITIES: list[Quantity] = [
    *(
        MeanValue(of="u"),
        Largest(of="u"),
        Norm(of="u"),
        PointValue(of="u", point=(0.3, 0.6)),
        WallFlux(of="u", wall="x_low"),
    ),
    Integral(of="u", low=(0.25, 0.0), high=(0.75, 0.5)),
]


def fields(shape: tuple[int, ...] = SHAPE) -> tuple[Darcy, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Linear in x and y, times the sample."""
    y, x = np.meshgrid(*((np.arange(cells) + 0.5) / cells for cells in shape), indexing="ij")
    u = np.multiply.outer(np.array([1.0, 2.0]), 1 + 2 * x + 4 * y)
    return Darcy(shape=shape), {"a": np.full_like(u, 3.0)}, {"u": u}


def test_every_shipped_quantity_is_tested_here() -> None:
    assert {type(one) for one in QUANTITIES} == set(SHIPPED)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (MeanValue(of="u"), 4.0),
        (Largest(of="u"), 1 + 2 * (1 - 0.5 / 16) + 4 * (1 - 0.5 / 12)),
        (PointValue(of="u", point=(0.3, 0.6)), 1 + 0.6 + 2.4),
        (PointValue(of="u", point=(0.0, 1.0)), 5.0),
        (Integral(of="u"), 4.0),
        # Cell walls lie at quarters, so that the mean of the part is that of a linear field.
        (Integral(of="u", low=(0.25, 0.0), high=(0.75, 0.5)), 0.25 * 3.0),
        (WallFlux(of="u", wall="x_high"), 3 * 2 * 16 * (1 + 2 * (1 - 0.5 / 16) + 2)),
        (WallFlux(of="u", wall="y_low"), 3 * 2 * 12 * (1 + 1 + 4 * 0.5 / 12)),
    ],
    ids=lambda one: one.name if isinstance(one, Quantity) else "",
)
def test_the_number_is_the_known_one(quantity: Quantity, expected: float) -> None:
    problem, inputs, outputs = fields()
    assert quantity.unfit(problem) == ""
    np.testing.assert_allclose(quantity.value(problem, inputs, outputs), [expected, 2 * expected], rtol=1e-12)


def test_the_norm_is_that_of_the_integral_of_the_square() -> None:
    problem, inputs, outputs = fields((64, 64))
    exact = np.sqrt(16 + 4 / 12 + 16 / 12)
    np.testing.assert_allclose(Norm(of="u").value(problem, inputs, outputs), [exact, 2 * exact], rtol=1e-4)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda one: one.name)
def test_tensors_give_the_same_and_can_be_differentiated(quantity: Quantity) -> None:
    problem, inputs, outputs = fields()
    given = {name: torch.tensor(values) for name, values in inputs.items()}
    u = torch.tensor(outputs["u"], requires_grad=True)
    found = quantity.value(problem, given, {"u": u})
    np.testing.assert_allclose(found.detach().numpy(), quantity.value(problem, inputs, outputs), rtol=1e-14)
    found.sum().backward()
    assert u.grad is not None
    assert torch.any(u.grad != 0)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda one: one.name)
def test_it_is_the_same_number_on_any_grid(quantity: Quantity) -> None:
    """Of a field that vanishes at the walls, as the flow through them asks for."""

    def on(shape: tuple[int, int]) -> float:
        sines = [np.sin(np.pi * (np.arange(cells) + 0.5) / cells) for cells in shape]
        u = np.multiply.outer(*sines)[None]
        return float(quantity.value(Darcy(shape=shape), {"a": np.full_like(u, 3.0)}, {"u": u})[0])

    assert on((48, 64)) == pytest.approx(on((192, 256)), rel=2e-3)
    if isinstance(quantity, WallFlux):
        assert on((192, 256)) == pytest.approx(6.0, rel=1e-3)


def test_at_a_time_and_at_the_last_one() -> None:
    problem = Heat(shape=(12, 16), steps=5)
    times = problem.template(1)["time"].values
    u = np.multiply.outer(np.ones(2), np.multiply.outer(times, np.ones((12, 16))))
    found = [MeanValue(of="u", time=time).value(problem, {}, {"u": u})[0] for time in (None, float(times[1]))]
    assert found == [pytest.approx(times[-1]), pytest.approx(times[1])]
    assert "time is 0.123, expected one of" in MeanValue(of="u", time=0.123).unfit(problem)
    assert MeanValue(of="u", time=0.1).unfit(Darcy()) == "time is 0.1, and the output 'u' has none"


def test_the_nodes_of_a_mesh_count_by_their_areas() -> None:
    problem = SMALL["plate"]
    assert isinstance(problem, Plate)
    nodes = problem.template(1).sizes["node"]
    one = {"T": np.full((3, nodes), 2.5)}
    np.testing.assert_allclose(MeanValue(of="T").value(problem, {}, one), 2.5)
    assert "mesh" in PointValue(of="T", point=(0.1, 0.1)).unfit(problem)


@pytest.mark.parametrize(
    ("quantity", "problem", "said"),
    [
        (MeanValue(of="v"), Darcy(), "of is 'v', expected one of the outputs ['u']"),
        (MeanValue(of="a"), Darcy(), "of is 'a', expected one of the outputs ['u']"),
        (
            WallFlux(of="u", wall="top"),
            Darcy(),
            "wall is 'top', expected one of ['x_low', 'x_high', 'y_low'",
        ),
        (WallFlux(of="u", wall="x_low"), SMALL["poisson"], "names no input that is the coefficient of a flow"),
        (PointValue(of="u", point=(0.5,)), Darcy(), "expected 2 coordinates, x, y"),
        (PointValue(of="u", point=(0.5, 1.5)), Darcy(), "outside of the domain: y is 1.5, expected 0 to 1"),
        (Integral(of="u", low=(0.0, 0.0)), Darcy(), "high is None, expected 2 coordinates"),
        (Integral(of="u", low=(0.5, 0.0), high=(0.4, 1.0)), Darcy(), "low and high are 0.5 and 0.4 along x"),
    ],
)
def test_what_is_no_number_of_the_fields_is_refused(quantity: Quantity, problem: Problem, said: str) -> None:
    assert said in quantity.unfit(problem)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda one: one.name)
def test_a_recipe_names_it(quantity: Quantity) -> None:
    adapter = TypeAdapter(AnyQuantity)
    assert adapter.validate_python(quantity.model_dump(mode="json")) == quantity
