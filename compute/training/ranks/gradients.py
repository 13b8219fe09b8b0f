from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ritz.compute.training.ranks.group import Group

if TYPE_CHECKING:
    import torch

Backward = Callable[["torch.Tensor", "torch.Tensor", int], "torch.Tensor"]
"""Takes the gradients of the loss on ``x`` and ``y`` of a rank into the network's parameters, and returns that loss."""


def check_ranks(module: torch.nn.Module) -> None:
    """Refuse a network whose forward pass draws random numbers or changes its state, which ranks would not share.

    Raises
    ------
    ValueError
        With the name of the part.
    """
    import torch

    for name, part in module.named_modules():
        draws = isinstance(part, torch.nn.modules.dropout._DropoutNd) and part.p > 0
        if draws or getattr(part, "track_running_stats", False):
            raise ValueError(
                f"the network's {name or 'module'} is a {type(part).__name__}, which several ranks cannot share; "
                "expected one without random numbers and running statistics, or ranks = 1"
            )


def mean_gradients(
    module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, parts: int, group: Group, backward: Backward
) -> torch.Tensor:
    """Set the gradients of a network to their mean over all ranks of a group, and return the mean of the losses.

    The gradients of all ranks are gathered and summed in the order of the ranks, and not reduced on the way, where the
    order of the sums is the network's. So the same bits come out wherever it is done: on every rank, and in one process
    that does the parts of all of them one after the other. It moves ``size`` times the gradients to every rank, where a
    ring moves them twice.

    Parameters
    ----------
    x, y
        ``(parts * batch, channel, *space)``, the samples of this process.
    parts
        How many ranks' samples these are: one where there are others, all of them in a process that does it alone.

    Returns
    -------
    torch.Tensor
        Without dimensions.
    """
    import torch

    parameters = [one for one in module.parameters() if one.requires_grad]
    mine = []
    for rank, (mine_x, mine_y) in enumerate(zip(x.chunk(parts), y.chunk(parts), strict=True), start=group.rank):
        for one in parameters:
            one.grad = None
        # Copied, because how sums are rounded depends on where in memory they begin.
        loss = backward(mine_x.clone(), mine_y.clone(), rank).detach()
        mine.append(torch.cat([loss.reshape(1), *(_flat(one) for one in parameters)]))
    everyone = mine if group.size == 1 else group.gather(mine[0])
    mean = _mean(everyone)
    begin = 1
    for one in parameters:
        count = one.numel() * (2 if one.is_complex() else 1)
        # Copied, because complex numbers have to begin at an even place.
        values = mean[begin : begin + count].clone()
        one.grad = (torch.view_as_complex(values.reshape(-1, 2)) if one.is_complex() else values).reshape(one.shape)
        begin += count
    return mean[0]


def _flat(parameter: torch.nn.Parameter) -> torch.Tensor:
    """Return the gradient as a row of real numbers; zeros where the loss does not depend on the parameter."""
    import torch

    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return (torch.view_as_real(gradient.resolve_conj()) if gradient.is_complex() else gradient).reshape(-1)


def _mean(values: Sequence[torch.Tensor]) -> torch.Tensor:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total / len(values)
