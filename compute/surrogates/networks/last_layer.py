from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class LastLayer:
    """What the linear layer at the end of a network is given and what it makes of it, for some samples.

    The output of the network is, with one row of weights for each unit, ``weights · features`` at every place where the
    layer works: the points of space for a convolution over single points, one place for a layer that gives all values.

    Attributes
    ----------
    features
        ``(n, feature, place)``; the last one is 1 where the layer has a bias.
    weights
        ``(unit, feature)``, with the bias.
    shape
        ``(channel, *space)`` of the network's output, which is ``(n, unit, place)`` in another shape.
    """

    features: torch.Tensor
    weights: torch.Tensor
    shape: tuple[int, ...]


def last_layer(module: torch.nn.Module, x: torch.Tensor) -> LastLayer:
    """Evaluate a network and return its last layer.

    Parameters
    ----------
    x
        Inputs ``(n, channel, *space)``.

    Raises
    ------
    ValueError
        If the output is not, number by number, that of a linear layer or of a convolution over single points.
    """
    with _recorded(module) as calls:
        y = module(x)
    if calls:
        part, given, out = calls[-1]
        weights = part.weight.flatten(1)
        given, out = (_units_first(values, part) for values in (given, out))
        if out.numel() == y.numel() and torch.equal(out.reshape(y.shape), y):
            if part.bias is not None:
                given = torch.cat([given, torch.ones_like(given[:, :1])], dim=1)
                weights = torch.cat([weights, part.bias[:, None]], dim=1)
            return LastLayer(given, weights, tuple(y.shape[1:]))
    raise ValueError(f"the output of {type(module).__name__} is not that of a linear layer at its end")


_Linear = torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d

_Call = tuple[_Linear, torch.Tensor, torch.Tensor]


@contextmanager
def _recorded(module: torch.nn.Module) -> Iterator[list[_Call]]:
    """Record the calls of all linear layers for a while."""
    calls: list[_Call] = []

    def record(part: torch.nn.Module, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        assert isinstance(part, _Linear)
        calls.append((part, given[0], out))

    handles = [part.register_forward_hook(record) for part in module.modules() if _is_linear(part)]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _is_linear(part: torch.nn.Module) -> bool:
    if isinstance(part, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d):
        return {*part.kernel_size, *part.stride, part.groups} == {1} and not any(map(int, part.padding))
    return isinstance(part, torch.nn.Linear)


def _units_first(values: torch.Tensor, part: _Linear) -> torch.Tensor:
    """Return what goes in or out of a layer as ``(n, unit, place)``."""
    values = values.movedim(-1, 1) if isinstance(part, torch.nn.Linear) else values
    return values.flatten(2) if values.ndim > 2 else values[:, :, None]
