from __future__ import annotations

from collections.abc import Sequence

import torch

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.evolutions.marching import Marching
from ritz.compute.simulation.coarsening import Grids, Moves
from ritz.compute.surrogates.grid import StateChannels
from ritz.compute.surrogates.networks.rollout import Rollout
from ritz.compute.surrogates.normalisation import Normalisation

Buffers = dict[str, list[tuple[int, str]]]
"""By variable: which axes are interpolated, each with the name of the buffer of its matrix ``(new, old)``."""


class Closed(Rollout):
    """A coarse solver, and a network that adds to each of its steps what it lacks.

    Parameters
    ----------
    inner
        From the channels of a state and of the other inputs to the channels of a tendency, in deviations of the outputs
        per last time of the training.
    states
        Which channels are states.
    inputs
        How many input channels there are.
    coarse
        The problem that takes the steps, on the grid of the states or on one of fewer points.
    """

    def __init__(self, inner: torch.nn.Module, states: StateChannels, inputs: int, coarse: Marching) -> None:
        super().__init__(inner, states, inputs, unit=None, change=True)
        self.coarse, self.share = coarse, coarse.interval / states.times[-1]
        self._given: dict[str, tuple[slice, bool]] = {}
        self._down: Buffers = {}
        self._up: Buffers = {}
        self._logs: frozenset[str] = frozenset()
        # From the channels of a state, and of the other inputs, to values in the units of the problem; `learn_units`
        # says how. Buffers, since members of an ensemble have numbers of their own.
        self.scale: torch.Tensor
        self.mean: torch.Tensor
        self.other_scale: torch.Tensor
        self.other_mean: torch.Tensor
        for name, channels in (("", len(states.starts)), ("other_", len(self._others))):
            self.register_buffer(f"{name}scale", torch.ones(channels))
            self.register_buffer(f"{name}mean", torch.zeros(channels))

    def learn_units(self, normalisation: Normalisation, inputs: Sequence[str], grids: Grids | None = None) -> None:
        """Take in what the channels are in the units of the problem, and how they come to its grid and back.

        Parameters
        ----------
        normalisation
            Of the data.
        inputs
            Names of the inputs of the coarse problem, first states among them.
        grids
            The grid of the data and that of the coarse problem; None where they are one.
        """
        if grids is not None:
            self._down, self._up = self._kept("down", grids.down), self._kept("up", grids.up)
            self._logs = grids.logs
        self.dimensions = normalisation.dimensions
        pairs = list(zip(normalisation.outputs, self.states.sizes, strict=True))
        self.scale.copy_(torch.tensor([one.scale for one, size in pairs for _ in range(size)]))
        self.mean.copy_(torch.tensor([one.mean for one, size in pairs for _ in range(size)]))
        starts, begin = set(self.dimensions.starts.values()), 0
        for one in normalisation.inputs:
            if one.name in starts:
                continue
            part = slice(begin, begin + self.dimensions.channels(one.name))
            self.other_scale[part], self.other_mean[part] = one.scale, one.mean
            if one.name in inputs:
                self._given[one.name] = (part, one.transform == "log")
            begin = part.stop

    def step(
        self,
        state: torch.Tensor,
        others: torch.Tensor,
        lengths: torch.Tensor | float,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the states after as many coarse steps as fit into the lengths; see `Rollout.step`."""
        del generator
        if tuple(state.shape[2:]) != self.dimensions.shape:
            raise ValueError(
                f"the fields lie on a grid of {tuple(state.shape[2:])} points; the coarse problem lies on that of the "
                f"training alone, {self.dimensions.shape}"
            )
        along = (-1, *(1,) * (others.ndim - 2))
        values = others * self.other_scale.reshape(along) + self.other_mean.reshape(along)
        given = {
            name: self._restricted(
                name, unstacked(values[:, part].exp() if log else values[:, part], self.dimensions, name)
            )
            for name, (part, log) in self._given.items()
        }
        shape = (-1, *(1,) * (state.ndim - 1))
        left = (torch.as_tensor(lengths, device=state.device) / self.coarse.interval).round().long().reshape(shape)
        for _ in range(int(left.max())):
            found = self.solved(state, given) + self.share * self.inner(torch.cat([state, others], dim=1))
            state = torch.where(left > 0, found, state)
            left = left - 1
        return state

    def solved(self, state: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the channels of states after one step of the coarse problem.

        Parameters
        ----------
        state
            ``(n, channel, *space)``.
        inputs
            Of the coarse problem in its units on its grid, ``(n, *dims)`` each.
        """
        shape = (-1, *(1,) * (state.ndim - 2))
        scale, mean = self.scale.reshape(shape), self.mean.reshape(shape)
        parts = torch.split(state * scale + mean, list(self.states.sizes), dim=1)
        starts = self.dimensions.starts
        whole = {
            name: unstacked(part, self.dimensions, first)
            for (name, first), part in zip(starts.items(), parts, strict=True)
        }
        before = {name: self._restricted(starts[name], values)[:, None] for name, values in whole.items()}
        after = self.coarse.again(before, inputs, 1)
        for name, first in starts.items():
            if self._up.get(first):
                # What the coarse grid does not hold stays.
                whole[name] = whole[name] + self._moved((after[name] - before[name])[:, 0], self._up[first])
            else:
                whole[name] = after[name][:, 0]
        found = [stacked(whole[name], self.dimensions, first) for name, first in starts.items()]
        return (torch.cat(found, dim=1) - mean) / scale

    def _kept(self, way: str, moves: Moves) -> Buffers:
        """Keep matrices as buffers, and return their names."""
        names: Buffers = {}
        for variable, matrices in moves.items():
            names[variable] = [(axis, f"{way}_{variable}_{axis}_{at}") for at, (axis, _) in enumerate(matrices)]
            for (_, name), (_, matrix) in zip(names[variable], matrices, strict=True):
                # They follow from the problem, so no file holds them.
                self.register_buffer(name, torch.tensor(matrix, dtype=torch.float32), persistent=False)
        return names

    def _restricted(self, variable: str, values: torch.Tensor) -> torch.Tensor:
        """Return values ``(n, *dims)`` on the grid of the coarse problem; see `Grids.restrict`."""
        moves = self._down.get(variable, [])
        if variable in self._logs and moves:
            return self._moved(values.log(), moves).exp()
        return self._moved(values, moves)

    def _moved(self, values: torch.Tensor, moves: list[tuple[int, str]]) -> torch.Tensor:
        for axis, name in moves:
            matrix = self.get_buffer(name).to(values.dtype)
            values = torch.tensordot(values, matrix, dims=([axis], [1])).movedim(-1, axis)
        return values


def unstacked(channels: torch.Tensor, dimensions: Dimensions, name: str) -> torch.Tensor:
    """Return a variable ``(n, *dims)`` from its channels ``(n, channel, *space)``, the first of what is repeated."""
    others, along = dimensions.others(name), dimensions.along(name)
    kept = channels[(..., *(slice(None) if there else 0 for there in along))]
    kept = kept.reshape(len(channels), *(dimensions.sizes[dim] for dim in others), *kept.shape[2:])
    order = _order(dimensions, name)
    return kept.permute(0, *(1 + order.index(dim) for dim in dimensions.variables[name]))


def stacked(values: torch.Tensor, dimensions: Dimensions, name: str) -> torch.Tensor:
    """Return the channels ``(n, channel, *space)`` of a variable ``(n, *dims)`` that lies on all of space."""
    dims = dimensions.variables[name]
    moved = values.permute(0, *(1 + dims.index(dim) for dim in _order(dimensions, name)))
    return moved.reshape(len(values), dimensions.channels(name), *moved.shape[moved.ndim - len(dimensions.space) :])


def _order(dimensions: Dimensions, name: str) -> tuple[str, ...]:
    """Return the dimensions of a variable in the order of its channels over space."""
    there = [dim for dim in dimensions.space if dim in dimensions.variables[name]]
    return (*dimensions.others(name), *there)
