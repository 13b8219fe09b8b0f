"""Residuals of discrete equations as differentiable functions of torch tensors, for losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def outflow(a: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Sum the diffusive fluxes −a ∇u out of every cell of a box with u = 0 at its walls, per volume.

    What `ritz.compute.problems.balance.outflow` does.

    Parameters
    ----------
    a, u
        ``(n, *shape)`` real, coefficient and field at the centres of the cells of the unit box.

    Returns
    -------
    fluxes
        ``(n, *shape)``.
    """
    import torch

    resistance = 0.5 / a
    total = torch.zeros_like(u)
    for axis in range(1, u.ndim):
        # Outside there is no resistance and no u: that is the half cell to the wall.
        r, p = (torch.nn.functional.pad(field.movedim(axis, -1), (1, 1)) for field in (resistance, u))
        flux = (p[..., 1:] - p[..., :-1]) / (r[..., 1:] + r[..., :-1])
        total = total + (flux[..., :-1] - flux[..., 1:]).movedim(-1, axis) * u.shape[axis] ** 2
    return total


def spread(u: torch.Tensor) -> torch.Tensor:
    """Return −Δu in the cells ``(n, *shape)`` of a box with u = 0 at its walls: `outflow` with a = 1."""
    import torch

    return outflow(torch.ones_like(u), u)


def carried(velocity: Sequence[torch.Tensor], u: torch.Tensor) -> torch.Tensor:
    """Sum what a flow takes out of every cell of a box, per volume, by upwind fluxes; what flows in brings u = 0.

    Parameters
    ----------
    velocity
        For every axis, through the faces across it: ``(n, *shape)`` with one entry more along that axis.
    u
        ``(n, *shape)``, field at the centres of the cells of the unit box.

    Returns
    -------
    fluxes
        ``(n, *shape)``.
    """
    import torch

    total = torch.zeros_like(u)
    for axis, v in enumerate(velocity, start=1):
        p, through = torch.nn.functional.pad(u.movedim(axis, -1), (1, 1)), v.movedim(axis, -1)
        flux = through.clamp_min(0) * p[..., :-1] + through.clamp_max(0) * p[..., 1:]
        total = total + (flux[..., 1:] - flux[..., :-1]).movedim(-1, axis) * u.shape[axis]
    return total


def norms(x: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm of every sample, ``(n,)``, of fields ``(n, *shape)``."""
    return x.flatten(1).norm(dim=1)
