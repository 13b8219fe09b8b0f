from __future__ import annotations

import math

import pytest
import torch

from ritz.compute.surrogates.networks import tsit5
from ritz.compute.surrogates.networks.adjoint import solve_adjoint
from ritz.compute.surrogates.networks.flat import Perceptron
from ritz.compute.surrogates.networks.tsit5 import Slope, Step, attempts, between, solve, step

FIRST = torch.tensor([[1.0, 0.3], [0.4, 2.0]], dtype=torch.float64)


def predators(state: torch.Tensor) -> torch.Tensor:
    """Return the slopes of the equations of Lotka and Volterra, which are not linear."""
    x, y = state.unbind(dim=1)
    return torch.stack([x * (1 - y), y * (x - 1)], dim=1)


def conserved(state: torch.Tensor) -> torch.Tensor:
    return (state - state.log()).sum(dim=-1)


Tree = tuple["Tree", ...]
"""A rooted tree: the trees that hang from its root."""


def trees(nodes: int) -> set[Tree]:
    """Return all rooted trees of so many nodes."""
    if nodes == 1:
        return {()}
    return {_hung(tree, leaf) for size in range(1, nodes) for tree in trees(nodes - size) for leaf in trees(size)}


def _hung(tree: Tree, branch: Tree) -> Tree:
    return tuple(sorted((*tree, branch)))


def nodes(tree: Tree) -> int:
    return 1 + sum(map(nodes, tree))


def density(tree: Tree) -> int:
    return nodes(tree) * math.prod(map(density, tree))


def taken(state: torch.Tensor, length: float, rtol: float = 1.0) -> Step:
    """Return a step of equal length for all samples."""
    return step(predators, state, predators(state), torch.full((len(state),), length, dtype=torch.float64), rtol)


def misses(weights: torch.Tensor, order: int, share: float = 1.0) -> float:
    """Return how far weights of the slopes are from the conditions of an order, at a share of the step."""
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    for i, row in enumerate(tsit5._STAGES):
        matrix[i + 1, : len(row)] = torch.tensor(row, dtype=torch.float64)

    def elementary(tree: Tree) -> torch.Tensor:
        values = torch.ones(7, dtype=torch.float64)
        for branch in tree:
            values = values * (matrix @ elementary(branch))
        return values

    conditions = [tree for count in range(1, order + 1) for tree in trees(count)]
    return max(abs(float(weights @ elementary(tree)) - share ** nodes(tree) / density(tree)) for tree in conditions)


def test_the_weights_meet_the_conditions_of_their_orders() -> None:
    assert [len(trees(count)) for count in range(1, 6)] == [1, 1, 2, 4, 9]
    weights = torch.tensor([*tsit5.WEIGHTS, 0.0], dtype=torch.float64)
    assert misses(weights, 5) < 1e-12
    assert misses(weights, 6) > 1e-5
    embedded = weights - torch.tensor(tsit5._EMBEDDED, dtype=torch.float64)
    assert misses(embedded, 4) < 1e-12
    assert misses(embedded, 5) > 1e-5
    coefficients = torch.tensor(tsit5._BETWEEN, dtype=torch.float64)
    for share in (0.2, 0.5, 0.9, 1.0):
        inside = coefficients @ share ** torch.arange(1, 5, dtype=torch.float64)
        assert misses(inside, 4, share) < 1e-12


def test_halved_steps_leave_at_most_a_thirtysecond_of_the_error() -> None:
    exact = solve(predators, FIRST, torch.full((2, 1), 6.0, dtype=torch.float64), rtol=1e-13, most=10_000).states[:, 0]
    errors = []
    for count in (30, 60, 120):
        state = FIRST
        for _ in range(count):
            state = taken(state, 6.0 / count).points[-1]
        errors.append(float((state - exact).norm()))
    assert errors[1] < errors[0] / 32
    assert errors[2] < errors[1] / 32


def test_states_between_meet_the_ends_of_a_step() -> None:
    one, lengths = taken(FIRST, 0.2), torch.full((2,), 0.2, dtype=torch.float64)
    for share, end in ((0.0, one.points[0]), (1.0, one.points[-1])):
        shares = torch.full((2,), share, dtype=torch.float64)
        torch.testing.assert_close(between(one, torch.arange(2), shares, lengths), end, rtol=1e-12, atol=1e-14)


def test_the_estimated_error_is_of_fifth_order_and_in_units_of_what_is_allowed() -> None:
    whole, half, looser = taken(FIRST, 0.1), taken(FIRST, 0.05), taken(FIRST, 0.05, 2.0)
    torch.testing.assert_close((whole.error / half.error).log2(), torch.full((2,), 5.0).double(), rtol=0, atol=0.4)
    torch.testing.assert_close(2 * looser.error, half.error)


def test_stiffness_is_the_rate_of_a_linear_equation() -> None:
    rates = torch.tensor([[-3.0], [-40.0]], dtype=torch.float64)
    first, lengths = torch.ones(2, 1, dtype=torch.float64), torch.tensor([0.1, 0.02], dtype=torch.float64)
    one = step(lambda state: rates * state, first, rates * first, lengths, 1e-3)
    torch.testing.assert_close(one.stiffness, rates.abs().flatten(), rtol=1e-6, atol=0)
    # Where nothing changes nothing is stiff, and gradients are numbers.
    state = torch.zeros(1, 3, requires_grad=True)
    still = step(lambda state: 0 * state, state, 0 * state, torch.ones(1), 1e-3)
    (still.error + still.stiffness).sum().backward()
    assert still.stiffness.item() < 1e-6
    assert state.grad is not None
    assert torch.isfinite(state.grad).all()


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_what_a_user_allows_is_what_a_trajectory_errs(rtol: float) -> None:
    times = torch.tensor([[3.7, 0.5, 9.0], [0.1, 8.0, 0.2]], dtype=torch.float64)
    found = solve(predators, FIRST, times, rtol=rtol, most=10_000)
    drift = conserved(found.states) - conserved(FIRST)[:, None]
    assert float(drift.abs().max()) < 100 * rtol
    exact = solve(predators, FIRST, times, rtol=1e-12, most=10_000).states
    assert float((found.states - exact).abs().max()) < 100 * rtol


def test_every_sample_has_steps_of_its_own() -> None:
    rates = torch.tensor([[-1.0], [-100.0]], dtype=torch.float64)
    first, times = torch.ones(2, 1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    both = solve(lambda state: rates[: len(state)] * state, first[:1], times[:1], rtol=1e-5, most=1000)
    seen: list[int] = []

    def slope(state: torch.Tensor) -> torch.Tensor:
        seen.append(len(state))
        return (rates if len(state) == 2 else rates[1:]) * state

    together = solve(slope, first, times, rtol=1e-5, most=1000)
    assert together.evaluations[0] == both.evaluations[0]
    assert together.evaluations[1] > 3 * together.evaluations[0]
    torch.testing.assert_close(together.states[0], both.states[0], rtol=1e-12, atol=0)
    assert int(together.evaluations.sum()) == sum(seen)
    # The trajectory of one that is at its end is not evaluated further.
    assert seen.count(1) > seen.count(2)


def test_means_of_the_estimates_are_over_time() -> None:
    times = torch.tensor([[5.0], [2.0]], dtype=torch.float64)
    found = solve(predators, FIRST, times, rtol=1e-4, most=1000)
    for sample in range(2):
        error = stiffness = length = 0.0
        for one in attempts(predators, FIRST[[sample]], times[sample], rtol=1e-4, most=1000):
            if one.accepted:
                error += float(one.length * one.step.error)
                stiffness += float(one.length * one.step.stiffness)
                length += float(one.length)
        assert length == pytest.approx(float(times[sample]))
        assert float(found.error[sample]) == pytest.approx(error / length)
        assert float(found.stiffness[sample]) == pytest.approx(stiffness / length)


def test_a_step_that_overflows_leaves_gradients_of_the_others() -> None:
    def slope(state: torch.Tensor) -> torch.Tensor:
        return torch.where(state > 3, torch.inf, state)

    first = torch.tensor([[1.0], [2.9]], requires_grad=True)
    found = solve(slope, first, torch.tensor([[1.0], [0.03]]), rtol=1e-2, most=200)
    found.states.sum().backward()
    assert first.grad is not None
    torch.testing.assert_close(first.grad, torch.tensor([[math.e], [math.exp(0.03)]]), rtol=1e-2, atol=0)


def test_too_many_steps_are_an_error() -> None:
    def bursting(state: torch.Tensor) -> torch.Tensor:
        return state.square()

    first = torch.tensor([[1.0], [0.1]])
    with pytest.raises(FloatingPointError, match=r"1 trajectories are not .* after 100 steps .*at 0.5 of the way"):
        solve(bursting, first, torch.tensor([[2.0], [2.0]]), rtol=1e-4, most=100)


def equation() -> Perceptron:
    torch.manual_seed(3)
    return Perceptron([3, 16, 3]).double()


TIMES = torch.tensor([[0.3, 0.9, 2.0, 0.9], [1.5, 0.2, 1.0, 0.05]], dtype=torch.float64)


def gradients(slope: Perceptron, adjoint: bool) -> list[torch.Tensor]:
    state = torch.tensor([[1.0, -0.5, 0.2], [0.1, 2.0, -1.0]], dtype=torch.float64, requires_grad=True)
    how = solve_adjoint if adjoint else solve
    found = how(slope, state, TIMES, rtol=1e-7, most=1000)
    loss = 1e-4 * (found.states * torch.arange(24.0).reshape(2, 4, 3).cos()).square().sum()
    return list(torch.autograd.grad(loss, [state, *slope.parameters()]))


def test_the_adjoint_equation_gives_the_gradient() -> None:
    slope = equation()
    for one, other in zip(gradients(slope, True), gradients(slope, False), strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-4
    # Of the same trajectory, bit for bit.
    first = torch.ones(2, 3, dtype=torch.float64)
    plain, again = (how(slope, first, TIMES, rtol=1e-5, most=99) for how in (solve, solve_adjoint))
    for a, b in zip(plain, again, strict=True):
        assert torch.equal(a, b)


def test_the_gradient_of_backpropagation_is_that_of_the_solution() -> None:
    # Lengths of steps are constants to the gradient: to rtol, a difference of solutions says the same.
    slope, rtol = equation(), 1e-9
    state = torch.tensor([[1.0, -0.5, 0.2], [0.1, 2.0, -1.0]], dtype=torch.float64)
    along = torch.randn(2, 3, dtype=torch.float64)

    def value(moved: torch.Tensor) -> torch.Tensor:
        return solve(slope, moved, TIMES, rtol=rtol, most=1000).states.square().sum()

    start = state.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(start), start)
    with torch.no_grad():
        difference = (value(state + 1e-4 * along) - value(state - 1e-4 * along)) / 2e-4
    assert float((gradient * along).sum()) == pytest.approx(float(difference), rel=1e-5)


def kept(how: object, slope: Slope, rtol: float) -> tuple[int, int]:
    """Return how many numbers are kept for a gradient, and how often the slope is evaluated."""
    numbers: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        numbers.append(tensor.numel())
        return tensor

    first = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found = how(slope, first, TIMES, rtol=rtol, most=10_000)  # type: ignore[operator]  # either of the two
    return sum(numbers), int(found.evaluations.sum())


def test_memory_of_the_adjoint_does_not_grow_with_the_steps() -> None:
    slope = equation()
    (flat, few), (also_flat, many) = kept(solve_adjoint, slope, 1e-3), kept(solve_adjoint, slope, 1e-10)
    assert many > 2 * few
    assert flat == also_flat
    # Through the steps it grows.
    assert kept(solve, slope, 1e-10)[0] > 2 * kept(solve, slope, 1e-3)[0] > 20 * flat
