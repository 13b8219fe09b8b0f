from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ritz.compute.surrogates.normalisation import Normalisation, Role, Variable


class Members(torch.nn.Module):
    """Modules that were trained with normalisations of their own, in and out in the channels of the first.

    The output is the mean of what they predict in physical units.

    Parameters
    ----------
    members
        From normalised input channels to normalised output channels, by each one's own normalisation.
    normalisations
        Theirs, of the same variables. They become buffers: from the channels of the first to those of a member it is a
        factor and a shift.
    """

    def __init__(self, members: Sequence[torch.nn.Module], normalisations: Sequence[Normalisation]) -> None:
        super().__init__()
        self.members, self.first = torch.nn.ModuleList(members), normalisations[0]
        for role in ("input", "output"):
            numbers = [_numbers(normalisation, role) for normalisation in normalisations]
            means, scales = (torch.tensor(rows, dtype=torch.float64) for rows in zip(*numbers, strict=True))
            if role == "input":
                factor, shift = scales[0] / scales, (means[0] - means) / scales
            else:
                factor, shift = scales / scales[0], (means - means[0]) / scales[0]
            self.register_buffer(f"{role}_factor", factor.float())
            self.register_buffer(f"{role}_shift", shift.float())
        self.input_factor: torch.Tensor
        self.input_shift: torch.Tensor
        self.output_factor: torch.Tensor
        self.output_shift: torch.Tensor

    def each(self, x: torch.Tensor) -> torch.Tensor:
        """Return what every member says, ``(member, n, outputs, *space)`` for ``x`` ``(n, inputs, *space)``."""
        found = []
        for i, member in enumerate(self.members):
            y = member(_moved(x, self.input_factor[i], self.input_shift[i]))
            found.append(_moved(y, self.output_factor[i], self.output_shift[i]))
        return torch.stack(found)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the mean over the members of the physical outputs, in the channels of the first."""
        each = self.each(x)
        mean = each.mean(dim=0)
        for variable, part in zip(self.first.outputs, self.first.channels("output"), strict=True):
            if variable.transform == "log":
                # The mean of what is positive is not the exponential of the mean logarithm.
                logs = each[:, :, part] * variable.scale + variable.mean
                mean[:, part] = (torch.logsumexp(logs, dim=0) - math.log(len(each)) - variable.mean) / variable.scale
        return mean


def _numbers(normalisation: Normalisation, role: Role) -> tuple[list[float], list[float]]:
    """Return mean and scale of every channel of a role."""
    variables: tuple[Variable, ...] = normalisation.inputs if role == "input" else normalisation.outputs
    counts = [part.stop - part.start for part in normalisation.channels(role)]
    repeated = [one for one, count in zip(variables, counts, strict=True) for _ in range(count)]
    return [one.mean for one in repeated], [one.scale for one in repeated]


def _moved(channels: torch.Tensor, factor: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Return channels ``(n, channel, *space)`` times a factor plus a shift of each."""
    shape = (-1, *(1,) * (channels.ndim - 2))
    return channels * factor.reshape(shape) + shift.reshape(shape)
