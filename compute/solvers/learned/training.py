"""Training of a network that proposes directions, on residuals alone: no system is solved for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.solvers.learned.weights import packed
from ritz.compute.solvers.operators import Stencil
from ritz.compute.solvers.systems import Systems

if TYPE_CHECKING:
    import torch

WIDTH = 8

_CHAIN = 10
"""Iterations after which a system is replaced by another."""

_RATE = 3e-3


def trained(
    posed: Sequence[Systems],
    *,
    steps: Sequence[int],
    batch: int = 8,
    width: int = WIDTH,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
) -> bytes:
    """Train a network on the residuals that its own directions leave, and return its weights.

    A step takes a batch of residuals r, and lowers the mean of log ‖r − α A d‖/‖r‖ of the network's directions d, with
    the α that makes it least. Then each r becomes what steepest descent along d leaves of it, so that the network sees
    what it is bad at. Every `_CHAIN` iterations a residual is a new one: the right-hand side of a system of the family,
    or white noise.

    Parameters
    ----------
    posed
        Systems of the family, grid by grid: symmetric definite stencils on plane grids. Their solutions are not asked
        for. A first coarse grid takes little time and its weights serve the finer ones.
    steps
        How many steps for each grid.
    batch
        Residuals per step.
    width
        Channels of the network.
    seed
        Of the first weights and of the residuals.
    report
        Is called with every step, counted over all grids, and its loss.

    Returns
    -------
    weights
        One safetensors blob, the same for the same arguments on the same machine.

    Raises
    ------
    ValueError
        If there is not one number of steps for each grid, or systems are not symmetric definite on a plane grid.
    """
    import torch

    from ritz.compute.solvers.learned.network import Cycle

    if len(posed) != len(steps) or not posed:
        raise ValueError(f"steps has {len(steps)} numbers for {len(posed)} grids, expected one for each, at least one")
    for systems in posed:
        operators = systems.operators
        plane = isinstance(operators, Stencil) and len(operators.shape) == 2
        if not (plane and operators.symmetric and operators.definite):
            raise ValueError("expected symmetric definite stencils on plane grids, and got other systems")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Cycle(width)
        optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
        total, done, rng = sum(steps), 0, np.random.default_rng(seed)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=_RATE, total_steps=max(total, 2))
        for systems, count in zip(posed, steps, strict=True):
            residuals = _residuals(systems, batch, rng)
            r, c = next(residuals)
            for step in range(count):
                if step and step % _CHAIN == 0:
                    r, c = next(residuals)
                d = network(r)
                image = product(c, d)
                # Of ‖r − α A d‖²/‖r‖² with the best α.
                angle = 1 - _dot(r, image) ** 2 / (_dot(r, r) * _dot(image, image))
                loss = 0.5 * torch.log(angle + 1e-6).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                if report is not None:
                    report(done, float(loss.detach()))
                done += 1
                with torch.no_grad():
                    left = r - (_dot(r, d) / _dot(d, image))[:, None, None] * image
                    r = left / _dot(left, left).sqrt()[:, None, None] * left[0].numel() ** 0.5
        return packed(network, width)


def product(coefficients: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the products of 5-point stencils ``(n, 5, ny, nx)`` with fields ``(n, ny, nx)``, differentiable."""
    import torch

    wide = torch.nn.functional.pad(x, (1, 1, 1, 1))
    centre, below, above, left, right = coefficients.unbind(1)
    found = centre * x + below * wide[:, :-2, 1:-1] + above * wide[:, 2:, 1:-1]
    return found + left * wide[:, 1:-1, :-2] + right * wide[:, 1:-1, 2:]


def _dot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x * y).sum(dim=(1, 2))


def _residuals(systems: Systems, batch: int, rng: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield residuals, every second one white noise, and the coefficients of their systems, both of about one."""
    import torch

    assert isinstance(systems.operators, Stencil)
    while True:
        chosen = rng.integers(len(systems), size=batch)
        r = systems.rhs[chosen].copy()
        r[1::2] = rng.standard_normal(r[1::2].shape)
        r /= np.sqrt(np.mean(r**2, axis=(1, 2), keepdims=True))
        c = systems.operators.coefficients[chosen]
        c = c / np.abs(c).max(axis=(1, 2, 3), keepdims=True)
        yield torch.from_numpy(r.astype(np.float32)), torch.from_numpy(c.astype(np.float32))
