from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from compute.surrogates.model import load_weights, weights
from compute.surrogates.normalisation import Arrays, Normalisation
from compute.tensors import pack, unpack
from compute.training.block import Block

if TYPE_CHECKING:
    from compute.training.loop import Loop

_FORMAT = "ritz-training/2"
_NETWORK = "network/"
_OPTIMISER = "optimiser/"

Refill = Callable[[np.ndarray], Block]
"""Returns the samples with the given ids ``(n,)``, in any order."""


def write(loop: Loop, recipe: dict[str, Any]) -> bytes:
    """Return the whole state of a loop as one safetensors blob.

    The fields of the buffer are not in it, only their ids: whoever restores reads them again.

    Parameters
    ----------
    loop
        Between two steps, with no block half taken in.
    recipe
        What identifies the training; JSON-able. `read` refuses another.
    """
    import torch

    tensors = {_NETWORK + name: value for name, value in weights(loop.module).items()}
    for index, state in loop.optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"{_OPTIMISER}{index}/{name}"] = value.numpy()
    tensors["torch_rng"] = torch.get_rng_state().numpy()
    tensors["reservoir/ids"], tensors["reservoir/seen"] = loop.reservoir.ids, loop.reservoir.seen
    tensors["validation/ids"] = loop.validation_ids
    tensors["schedule"] = np.array(loop.schedule, np.int64).reshape(loop.step, loop.online.batch_size)
    tensors["trace/losses"] = np.array(loop.trace.losses, np.float64)
    header = {
        "format": _FORMAT,
        "recipe": recipe,
        "normalisation": loop.normalisation.model_dump(mode="json"),
        "numpy_rng": loop.rng.bit_generator.state,
        "step": loop.step,
        "taken": loop.taken,
        "received": sorted(loop.received.items()),
        "curve": loop.curve,
        "losses": loop.losses,
        "trace": loop.trace.document(),
    }
    return pack(tensors, header)


def normalisation(blob: bytes, recipe: dict[str, Any]) -> Normalisation:
    """Return the normalisation in a checkpoint: what one needs to build the loop it belongs to.

    Raises
    ------
    ValueError
        If the bytes hold no checkpoint, or one of another recipe.
    """
    _, header = unpack(blob)
    if header.get("format") != _FORMAT:
        raise ValueError(f"the header has the format {header.get('format')!r}, expected {_FORMAT!r}")
    differing = sorted(k for k in recipe | header["recipe"] if recipe.get(k) != header["recipe"].get(k))
    if differing:
        raise ValueError(
            f"the checkpoint was written with another recipe (differing: {differing}); continue with that one, "
            "or give this training a new name"
        )
    return Normalisation.model_validate(header["normalisation"])


def read(loop: Loop, blob: bytes, refill: Refill) -> None:
    """Set a new loop to the state in a checkpoint.

    Raises
    ------
    ValueError
        If ``refill`` does not return every sample that the buffer held.
    """
    import torch

    tensors, header = unpack(blob)
    load_weights(loop.module, _under(tensors, _NETWORK))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _under(tensors, _OPTIMISER).items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = torch.from_numpy(value.copy())
    groups = loop.optimiser.state_dict()["param_groups"]
    loop.optimiser.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(torch.from_numpy(tensors["torch_rng"].copy()))
    held, seen, kept = (tensors[k] for k in ("reservoir/ids", "reservoir/seen", "validation/ids"))
    fields = _fetch(refill, np.concatenate([held, kept]))
    loop.reservoir.restore(held, seen, {name: values[: len(held)] for name, values in fields.items()})
    loop.set_validation(kept, {name: values[len(held) :] for name, values in fields.items()})
    loop.rng.bit_generator.state = header["numpy_rng"]
    loop.step, loop.taken = header["step"], header["taken"]
    loop.received = {int(shard): float(when) for shard, when in header["received"]}
    loop.curve, loop.losses = header["curve"], header["losses"]
    loop.schedule = list(tensors["schedule"])
    loop.trace.restore(tensors["trace/losses"], header["trace"])


def _under(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the tensors whose names begin with ``prefix``, without it."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _fetch(refill: Refill, ids: np.ndarray) -> Arrays:
    """Return the fields of ``ids`` in their order."""
    block = refill(np.unique(ids))
    place = {int(sample): row for row, sample in enumerate(block.ids)}
    missing = [int(sample) for sample in ids if int(sample) not in place]
    if missing:
        raise ValueError(
            f"samples {missing[:5]} of the checkpoint's buffer are not in the dataset any more ({len(missing)} in "
            "all); remove the checkpoint to train anew"
        )
    rows = np.array([place[int(sample)] for sample in ids], np.int64)
    return {name: values[rows] for name, values in block.fields.items()}
