"""Products with the derivatives of a function of a block of samples, by autograd of torch, a few samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.problems.problem import Arrays

if TYPE_CHECKING:
    import torch

Function = Callable[..., Mapping[str, "torch.Tensor"]]
"""Takes inputs and states by name, ``(n, *dims)`` tensors, to values by name; a sample sees no other."""

_TOGETHER = 2**16
"""Values of the samples that are differentiated at once: with what that takes they fit into caches."""


def pulled(
    function: Function,
    inputs: Mapping[str, np.ndarray],
    states: Sequence[Mapping[str, np.ndarray]],
    weights: Mapping[str, np.ndarray],
    wanted: Collection[str],
    by: int,
) -> tuple[Arrays, list[Arrays]]:
    """Return ``wᵀ ∂f/∂x`` by inputs and by states.

    Parameters
    ----------
    function
        f.
    inputs, states
        Where it is differentiated, ``(n, *dims)`` float64 by name.
    weights
        w, in the shapes of f.
    wanted
        The inputs by which it is differentiated.
    by
        By how many states it is, the first ones.

    Returns
    -------
    by_inputs
        By the names of ``wanted``.
    by_states
        One each, as many as ``by`` says.
    """
    import torch

    found = [{name: np.empty(inputs[name].shape) for name in inputs if name in wanted}]
    found += [{name: np.empty(values.shape) for name, values in state.items()} for state in states[:by]]
    for rows in _blocks(inputs, *states):
        with torch.enable_grad():
            place = [_leaves(inputs, rows, wanted), *(_leaves(state, rows, state) for state in states[:by])]
            values = function(*place, *(_leaves(state, rows, ()) for state in states[by:]))
            # What depends on nothing that is differentiated has no graph.
            names = [name for name in weights if values[name].requires_grad]
            leaves = [group[name] for group, whole in zip(place, found, strict=True) for name in whole]
            if not names or not leaves:
                gradients = [torch.zeros_like(leaf) for leaf in leaves]
            else:
                gradients = list(
                    torch.autograd.grad(
                        [values[name] for name in names],
                        leaves,
                        [_tensor(weights[name][rows]) for name in names],
                        materialize_grads=True,
                    )
                )
        places = [whole[name] for whole in found for name in whole]
        for whole_values, gradient in zip(places, gradients, strict=True):
            whole_values[rows] = gradient.numpy()
    return found[0], found[1:]


def pushed(
    function: Function,
    inputs: Mapping[str, np.ndarray],
    states: Sequence[Mapping[str, np.ndarray]],
    tangents: Mapping[str, np.ndarray],
    changes: Sequence[Mapping[str, np.ndarray]],
) -> Arrays:
    """Return ``∂f/∂x v``, the change of f along a change of inputs and states.

    ``wᵀ ∂f/∂x v`` is linear in w; its derivative by w is what is returned. Forward differentiation of torch would do,
    but cannot be nested in one that a caller has begun.

    Parameters
    ----------
    function, inputs, states
        As in `pulled`.
    tangents
        v of inputs, by name; others stay.
    changes
        v of the states, one each; a state without any stays.
    """
    import torch

    parts: list[Arrays] = []
    for rows in _blocks(inputs, *states):
        with torch.enable_grad():
            groups = [(inputs, tangents), *zip(states, changes, strict=True)]
            place = [_leaves(at, rows, along) for at, along in groups]
            leaves = [group[name] for group, (_, along) in zip(place, groups, strict=True) for name in along]
            ways = [_tensor(along[name][rows]) for _, along in groups for name in along]
            values = function(*place)
            graphs = {name: one for name, one in values.items() if one.requires_grad}
            part = {name: np.zeros(tuple(one.shape)) for name, one in values.items()}
            if graphs:
                weights = [torch.zeros_like(one).requires_grad_() for one in graphs.values()]
                pulled_back = torch.autograd.grad(
                    list(graphs.values()), leaves, weights, create_graph=True, materialize_grads=True
                )
                linear = [(one, way) for one, way in zip(pulled_back, ways, strict=True) if one.requires_grad]
                if linear:
                    found = torch.autograd.grad(
                        [one for one, _ in linear], weights, [way for _, way in linear], materialize_grads=True
                    )
                    part |= {name: one.numpy() for name, one in zip(graphs, found, strict=True)}
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def first(*groups: Mapping[str, np.ndarray]) -> list[Arrays]:
    """Return groups of arrays of the first sample alone."""
    return [{name: values[:1] for name, values in group.items()} for group in groups]


def _blocks(*groups: Mapping[str, np.ndarray]) -> Iterator[slice]:
    arrays = [values for group in groups for values in group.values()]
    count = len(arrays[0])
    together = max(1, _TOGETHER * count // max(1, sum(values.size for values in arrays)))
    for begin in range(0, count, together):
        yield slice(begin, begin + together)


def _leaves(values: Mapping[str, np.ndarray], rows: slice, wanted: Collection[str]) -> dict[str, torch.Tensor]:
    return {name: _tensor(one[rows]).requires_grad_(name in wanted) for name, one in values.items()}


def _tensor(values: np.ndarray) -> torch.Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float64)
