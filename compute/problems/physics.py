"""Residuals of discrete equations as differentiable functions of torch tensors, for losses."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def outflow(a: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Sum the diffusive fluxes −a ∇u out of every cell of a box with u = 0 at its walls, per volume.

    What `compute.problems.balance.outflow` does.

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


def norms(x: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean norm of every sample, ``(n,)``, of fields ``(n, *shape)``."""
    return x.flatten(1).norm(dim=1)
