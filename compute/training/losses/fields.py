"""Losses that compare the prediction with the truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.training.losses.loss import Batch, Loss, Penalty, relative

if TYPE_CHECKING:
    import torch


class RelativeL2(Loss):
    """The relative L2 error of every output in physical units, averaged over samples and outputs.

    The norms of an output are over all its channels and points, so a state that has decayed weighs what it is.
    """

    kind: Literal["relative_l2"] = "relative_l2"

    def value(self, batch: Batch, penalty: Penalty | None) -> torch.Tensor:  # noqa: ARG002
        """Return the loss; see `Loss.value`."""
        import torch

        errors = []
        for prediction, truth in batch.outputs():
            p, t = prediction.flatten(1), truth.flatten(1)
            errors.append(relative((p - t).norm(dim=1), t.norm(dim=1)))
        return torch.stack(errors, dim=1).mean()


class RelativeH1(Loss):
    """The error in the norm (‖u‖² + ‖∇u‖²)^½, relative to the truth's, averaged over samples and outputs.

    ∇ is along space alone. ``differences`` are of second order, one-sided at the ends, as those of
    `ritz.compute.fields.errors.relative_h1`. ``spectral`` derivatives are those of the trigonometric polynomial
    through the points: exact for smooth periodic fields, and wrong near the ends of others.
    """

    kind: Literal["relative_h1"] = "relative_h1"
    derivative: Literal["differences", "spectral"] = "differences"
    """How the gradient is taken."""

    def check(self, normalisation: Normalisation, penalty: Penalty | None, problem: str, coarse: float) -> None:  # noqa: ARG002
        """Refuse a mesh, uneven points, and too few of them."""
        dimensions = normalisation.dimensions
        if dimensions.lengths is None:
            raise ValueError(
                f"losses has {self.kind!r}, and problem {problem!r} lies on an uneven grid or a mesh; expected a grid "
                "of even spacing, where derivatives can be taken"
            )
        least = 6 if coarse else 3
        if min(dimensions.shape) < least:
            raise ValueError(
                f"losses has {self.kind!r} on a grid of {dimensions.shape} points; expected at least {least} along "
                f"every axis with coarse = {coarse:g}"
            )

    def value(self, batch: Batch, penalty: Penalty | None) -> torch.Tensor:  # noqa: ARG002
        """Return the loss; see `Loss.value`."""
        import torch

        lengths = batch.normalisation.dimensions.lengths
        assert lengths is not None
        squares = _by_differences if self.derivative == "differences" else _by_modes
        errors = [relative(squares(p - t, lengths).sqrt(), squares(t, lengths).sqrt()) for p, t in batch.outputs()]
        return torch.stack(errors, dim=1).mean()


def _by_differences(u: torch.Tensor, lengths: tuple[float, ...]) -> torch.Tensor:
    """Return ‖u‖² + ‖∇u‖² of every sample, sums over points and channels."""
    import torch

    total = u.square().flatten(1).sum(dim=1)
    for axis, length in enumerate(lengths, start=2):
        (slope,) = torch.gradient(u, spacing=length / u.shape[axis], dim=axis, edge_order=2)
        total = total + slope.square().flatten(1).sum(dim=1)
    # The root has no slope at zero, where the prediction is the truth.
    return total.clamp_min(1e-60 if u.dtype.itemsize == 8 else 1e-36)


def _by_modes(u: torch.Tensor, lengths: tuple[float, ...]) -> torch.Tensor:
    """Return the same by Parseval's theorem, with exact derivatives of the modes."""
    import torch

    space = tuple(range(2, u.ndim))
    modes = torch.fft.fftn(u, dim=space, norm="ortho")
    weight = torch.ones((), dtype=u.dtype, device=u.device)
    for axis, length in zip(space, lengths, strict=True):
        points = u.shape[axis]
        numbers = torch.fft.fftfreq(points, d=length / points, dtype=u.dtype, device=u.device)
        if points % 2 == 0:
            # The derivative of the highest mode of an even number of points is zero at all of them.
            numbers = numbers.where(numbers.abs() < points / 2 / length * (1 - 1e-6), 0)
        weight = weight + (2 * math.pi * numbers).square().reshape(-1, *(1,) * (u.ndim - 1 - axis))
    answer: torch.Tensor = (modes.abs().square() * weight).flatten(1).sum(dim=1).clamp_min(1e-36)
    return answer
