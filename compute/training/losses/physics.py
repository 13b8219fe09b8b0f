from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ritz.compute.kind import Source
from ritz.compute.surrogates.normalisation import Normalisation, Role
from ritz.compute.training.losses.loss import Batch, Loss, Penalty

if TYPE_CHECKING:
    import torch


class Residual(Loss):
    """The relative residual of the prediction in the problem's discrete equations: soft physics, without a truth.

    It is `Problem.penalty`, the mean over the samples of ‖b − A u‖ / ‖b‖. A differential operator magnifies rough
    errors by up to the square of the number of points along an axis, so next to a relative error it wants a small
    weight: 10⁻³ at 64 points. It is for the grid of the training alone, whose equations these are; means over blocks of
    points solve others, hence ``coarse`` is 0.

    Source: Li et al., "Physics-informed neural operator for learning partial differential equations", 2021.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Li et al.",
            "Physics-informed neural operator for learning partial differential equations",
            2021,
            "arXiv:2111.03794",
        ),
    )

    kind: Literal["residual"] = "residual"

    def check(self, normalisation: Normalisation, penalty: Penalty | None, problem: str, coarse: float) -> None:  # noqa: ARG002
        """Refuse a problem without `Problem.penalty`, and steps at another resolution."""
        if penalty is None:
            raise ValueError(
                f"losses has {self.kind!r}, and problem {problem!r} has no `penalty`, its discrete residual in torch; "
                "expected a problem that has, as all that are shipped do, or no such loss"
            )
        if coarse:
            raise ValueError(
                f"losses has {self.kind!r} with coarse = {coarse:g}, expected coarse = 0: the equations are those of "
                "the whole grid"
            )

    def value(self, batch: Batch, penalty: Penalty | None) -> torch.Tensor:
        """Return the loss; see `Loss.value`."""
        assert penalty is not None
        inputs = decoded(batch.normalisation, batch.x)
        return penalty(inputs, unstacked(batch.normalisation, "output", batch.prediction)).mean()


def decoded(normalisation: Normalisation, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the inputs in physical units by name, ``(n, *dims)``, from their normalised channels."""
    import torch

    channels = zip(normalisation.inputs, normalisation.channels("input"), strict=True)
    return unstacked(normalisation, "input", torch.cat([v.decode(x[:, part]) for v, part in channels], dim=1))


def unstacked(normalisation: Normalisation, role: Role, channels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return variables by name, ``(n, *dims)``, from channels in physical units ``(n, channel, *space)``.

    Of an input that lacks dimensions of space, and is repeated along them, one is taken.
    """
    dimensions, found = normalisation.dimensions, {}
    variables = normalisation.inputs if role == "input" else normalisation.outputs
    for variable, part in zip(variables, normalisation.channels(role), strict=True):
        name, values = variable.name, channels[:, part]
        for axis, there in reversed(list(enumerate(dimensions.along(name), start=2))):
            values = values if there else values.select(axis, 0)
        dims, others = dimensions.variables[name], dimensions.others(name)
        space = tuple(dim for dim in dimensions.space if dim in dims)
        values = values.reshape(len(values), *(dimensions.sizes[dim] for dim in others), *values.shape[2:])
        order = (*others, *space)
        found[name] = values.permute(0, *(1 + order.index(dim) for dim in dims))
    return found
