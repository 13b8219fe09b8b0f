"""Trajectories whose gradient comes of the adjoint equation, backward in time, rather than through the steps."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from ritz.compute.surrogates.networks.tsit5 import WEIGHTS, Solved, attempts, solve


def solve_adjoint(
    slope: torch.nn.Module, state: torch.Tensor, times: torch.Tensor, *, rtol: float, most: int
) -> Solved:
    """Return what `ritz.compute.surrogates.networks.tsit5.solve` returns, with a gradient that keeps no steps.

    What lies in memory for the gradient are the states at ``times``, however many steps lead there. Backward in time,
    from one of the times to that before it, the adjoint equation da/dt = −(∂f/∂z)ᵀ a is solved together with the
    states, which begin anew at every time, by the same method to the same ``rtol``; the gradient of a weight is
    ∫ aᵀ ∂f/∂θ dt, by the weights of the method at its stages. Only the states are differentiable, once: not their
    errors or stiffness.

    Source: Chen, Rubanova, Bettencourt, Duvenaud, "Neural ordinary differential equations", NeurIPS 2018; that the
    integrals are left out of the control of the error: Kidger, Chen, Lyons, "“Hey, that’s not an ODE”: faster ODE
    adjoints via seminorms", ICML 2021.

    Parameters
    ----------
    slope
        From ``(n, d)`` to ``(n, d)``; all its parameters get a gradient.
    state, times, rtol, most
        See `ritz.compute.surrogates.networks.tsit5.solve`.

    Raises
    ------
    FloatingPointError
        See `ritz.compute.surrogates.networks.tsit5.attempts`; in the backward pass too.
    """
    found = _Adjoint.apply(slope, rtol, most, state, times, *slope.parameters())  # type: ignore[no-untyped-call]  # of torch
    return Solved(*found)


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        slope: torch.nn.Module,
        rtol: float,
        most: int,
        state: torch.Tensor,
        times: torch.Tensor,
        *parameters: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        found = solve(slope, state, times, rtol=rtol, most=most)
        ctx.slope, ctx.rtol, ctx.most = slope, rtol, most
        ctx.save_for_backward(times, found.states, *parameters)
        ctx.mark_non_differentiable(*found[1:])
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[Any, ...]:
        times, states, *parameters = ctx.saved_tensors
        order = times.argsort(dim=1)
        rows = torch.arange(len(times), device=times.device)[:, None]
        times, states, given = (one[rows, order] for one in (times, states, gradients[0]))
        spans = times.diff(dim=1, prepend=torch.zeros_like(times[:, :1]))
        adjoint, totals = torch.zeros_like(given[:, 0]), [torch.zeros_like(one) for one in parameters]
        for number in reversed(range(times.shape[1])):
            adjoint = adjoint + given[:, number]
            # The equation is linear in the adjoint: of unit size, rtol means the same for it as for the states.
            size = adjoint.abs().amax(dim=1, keepdim=True)
            size = torch.where(size > 0, size, 1.0)
            back = _Backward(ctx.slope, parameters, totals, size)
            adjoint = size * back.solve(states[:, number], adjoint / size, spans[:, number], ctx.rtol, ctx.most)
        return None, None, None, adjoint, None, *totals


class _Backward:
    """The adjoint equation in reversed time over one span, for adjoints in units of ``size`` ``(n, 1)``."""

    def __init__(
        self,
        slope: torch.nn.Module,
        parameters: list[torch.Tensor],
        totals: list[torch.Tensor],
        size: torch.Tensor,
    ) -> None:
        self.slope, self.parameters, self.totals, self.size = slope, parameters, totals, size

    def solve(
        self, state: torch.Tensor, adjoint: torch.Tensor, span: torch.Tensor, rtol: float, most: int
    ) -> torch.Tensor:
        """Return the adjoints a span earlier, and add what it gives of the gradients to ``totals``."""
        after = adjoint.clone()
        for one in attempts(self.both, torch.cat([state, adjoint], dim=1), span, rtol=rtol, most=most):
            stages = torch.cat(one.step.points[: len(WEIGHTS)])
            states, adjoints = stages.chunk(2, dim=1)
            factors = torch.where(one.accepted, one.length, 0.0)[:, None] * self.size[one.rows]
            weights = torch.cat([weight * factors for weight in WEIGHTS])
            with torch.enable_grad():
                slopes = self.slope(states)
                shares = torch.autograd.grad(slopes, self.parameters, weights * adjoints)
            for total, share in zip(self.totals, shares, strict=True):
                total += share
            after[one.rows] = torch.where(
                one.accepted[:, None], one.step.points[-1].chunk(2, dim=1)[1], after[one.rows]
            )
        return after

    def both(self, both: torch.Tensor) -> torch.Tensor:
        """Return the slopes of states and adjoints in reversed time."""
        state, adjoint = both.chunk(2, dim=1)
        with torch.enable_grad():
            state = state.detach().requires_grad_()
            slope = self.slope(state)
            (pulled,) = torch.autograd.grad(slope, state, adjoint)
        return torch.cat([-slope.detach(), pulled], dim=1)
