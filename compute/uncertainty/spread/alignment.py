from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ritz.compute.fields.dimensions import Dimensions

_ENTRIES = 32
"""An input's values along dimensions that the output lacks are told apart up to this number."""


def align(inputs: Mapping[str, np.ndarray], output: str, dimensions: Dimensions | None) -> dict[str, np.ndarray]:
    """Return inputs that broadcast against an output, axis by axis.

    A dimension that both have becomes the output's axis; one that the input lacks has one point. Along dimensions
    that only the input has, every entry is an input of its own, ``"name[0]"`` and so on; where that would be more
    than 32, they are replaced by their ``"name[mean]"``, ``"name[std]"``, ``"name[min]"`` and ``"name[max]"``.

    Parameters
    ----------
    inputs
        ``(n, *dims)`` for every input; entries that are no variable are left out.
    output
        Name of the output.
    dimensions
        Of all variables; None if the inputs have the axes of the output.
    """
    if dimensions is None:
        return dict(inputs)
    target, found = dimensions.variables[output], {}
    for name in sorted(inputs.keys() & dimensions.variables.keys()):
        values, dims = inputs[name], dimensions.variables[name]
        shared = [dim for dim in target if dim in dims]
        own = [dim for dim in dims if dim not in target]
        moved = values.transpose(0, *(1 + dims.index(dim) for dim in [*own, *shared]))
        points = iter(moved.shape[1 + len(own) :])
        shape = [next(points) if dim in shared else 1 for dim in target]
        entries = moved.reshape(len(values), -1, *shape)
        if not own:
            found[name] = entries[:, 0]
        elif entries.shape[1] <= _ENTRIES:
            found |= {f"{name}[{k}]": entries[:, k] for k in range(entries.shape[1])}
        else:
            found |= {f"{name}[mean]": entries.mean(axis=1), f"{name}[std]": entries.std(axis=1)}
            found |= {f"{name}[min]": entries.min(axis=1), f"{name}[max]": entries.max(axis=1)}
    return found


def origin(name: str) -> str:
    """Return the name of the input that an aligned one was made of.

    Examples
    --------
    >>> origin("level[3]"), origin("a")
    ('level', 'a')
    """
    return name.partition("[")[0]


def space(output: str, dimensions: Dimensions | None) -> tuple[int, ...] | None:
    """Return the axes of space of one sample of an output, None for all."""
    if dimensions is None:
        return None
    return tuple(dimensions.variables[output].index(dim) for dim in dimensions.space)
