"""State of torch's objects as named arrays and JSON, so that a checkpoint holds nothing that is unpickled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np


def freeze(value: Any, name: str, tensors: dict[str, np.ndarray]) -> Any:
    """Return a JSON-able picture of a state; its tensors and arrays are copied into ``tensors``, on the CPU.

    Parameters
    ----------
    value
        Dicts, lists, tuples, numbers, texts, tensors and arrays, nested as a ``state_dict`` is.
    name
        Prefix of the tensors' names.

    Raises
    ------
    TypeError
        If something else is in it.
    """
    import torch

    if torch.is_tensor(value):
        # A copy: the arrays of a state on the CPU are written to by the next step.
        tensors[name] = value.detach().cpu().numpy().copy()
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        tensors[name] = value.copy()
        return {"array": name}
    if isinstance(value, dict):
        pairs = [[key, freeze(item, f"{name}/{key}", tensors)] for key, item in value.items()]
        return {"counter" if isinstance(value, Counter) else "dict": pairs}
    if isinstance(value, list | tuple):
        items = [freeze(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"the state {name!r} holds a {type(value).__name__}, which a checkpoint cannot keep")


def thaw(frozen: Any, tensors: Mapping[str, np.ndarray]) -> Any:
    """Undo `freeze`; tensors lie on the CPU."""
    import torch

    if not isinstance(frozen, dict):
        return frozen
    [(what, content)] = frozen.items()
    if what == "tensor":
        return torch.from_numpy(tensors[content].copy())
    if what == "array":
        return tensors[content].copy()
    if what == "float":
        return float(content)
    if what in ("list", "tuple"):
        items = [thaw(item, tensors) for item in content]
        return tuple(items) if what == "tuple" else items
    pairs = {key: thaw(item, tensors) for key, item in content}
    return Counter(pairs) if what == "counter" else pairs
