from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.surrogates.model import load_weights, weights
from ritz.compute.surrogates.normalisation import Arrays, Normalisation
from ritz.compute.training.samples.block import Block
from ritz.compute.training.state import freeze, thaw

if TYPE_CHECKING:
    from ritz.compute.training.loop import Loop

log = logging.getLogger("ritz")

_FORMAT = "ritz-training/4"
_WITHOUT_DIGEST = "ritz-training/3"
_NETWORK = "network/"
_AVERAGE = "average/"
_BEST = "best/"

# How the digest stands in the metadata of a safetensors file, a JSON text within a JSON text.
_MARK = b'\\"digest\\": \\"'
_BLANK = b"0" * 64

Refill = Callable[[np.ndarray], Block]
"""Returns the samples with the given ids ``(n,)``, in any order."""


class Corrupt(ValueError):
    """The bytes of a checkpoint are not those that were written."""


def write(loop: Loop, recipe: dict[str, Any]) -> bytes:
    """Return the whole state of a loop as one safetensors blob; its tensors lie on the CPU.

    In the blob is the SHA-256 of all its bytes, taken with zeros in its own place.

    The fields of the buffers are not in it, only their ids: whoever restores reads them again. All ranks of a group
    call this at once, and all get the state of all of them.

    Parameters
    ----------
    loop
        Between two steps.
    recipe
        What identifies the training; JSON-able. `read` refuses another.
    """
    import torch

    tensors = {_NETWORK + name: value for name, value in weights(loop.module).items()}
    if loop.average is not None:
        tensors |= {_AVERAGE + name: value for name, value in weights(loop.average.module).items()}
    if loop.best is not None:
        tensors |= {_BEST + name: value for name, value in loop.best.tensors.items()}
    moving = {
        "optimiser": loop.optimiser.state_dict(),
        "rate": loop.follower.state_dict(),
        "arithmetic": loop.arithmetic.state_dict(),
    }
    state = freeze(moving, "state", tensors)
    tensors["rng/cpu"] = torch.get_rng_state().numpy()
    if loop.device != "cpu":
        tensors["rng/device"] = _on(loop.device).get_rng_state().numpy()
    arrays = {
        "buffer/ids": loop.slots.ids,
        "buffer/seen": loop.slots.seen,
        "validation/ids": loop.validation_ids,
        "schedule": np.array(loop.schedule, np.int64).reshape(loop.step, loop.training.batch_size),
    }
    numbers = {
        "numpy_rng": loop.rng.bit_generator.state,
        "taken": loop.taken,
        "received": sorted(loop.received.items()),
        "partial": sorted(loop.partial.items()),
    }
    ranks = []
    for rank, (one, its_numbers) in enumerate(map(unpack, loop.group.exchange(pack(arrays, numbers)))):
        tensors |= {f"rank{rank}/{name}": values for name, values in one.items()}
        ranks.append(its_numbers)
    tensors["trace/losses"] = np.array(loop.trace.losses, np.float64)
    header = {
        "format": _FORMAT,
        "digest": _BLANK.decode(),
        "recipe": recipe,
        "normalisation": loop.normalisation.model_dump(mode="json"),
        "ranks": ranks,
        "state": state,
        "best": None if loop.best is None else loop.best.state(),
        "device": loop.device,
        "step": loop.step,
        "curve": loop.curve,
        "losses": loop.losses,
        "trace": loop.trace.document(),
    }
    blob = pack(tensors, header)
    place = _place(blob)
    assert place is not None
    return b"".join([blob[:place], _digest(blob, place), blob[place + len(_BLANK) :]])


def normalisation(blob: bytes, recipe: dict[str, Any]) -> Normalisation:
    """Return the normalisation in a checkpoint: what one needs to build the loop it belongs to.

    One that was written before there were digests is not checked for damage, which is said.

    Raises
    ------
    Corrupt
        If a byte is not as it was written.
    ValueError
        If the bytes hold no checkpoint, or one of another recipe.
    """
    place = _place(blob)
    if place is not None and blob[place : place + len(_BLANK)] != _digest(blob, place):
        raise Corrupt("the checkpoint has other bytes than were written; remove it to train anew")
    try:
        _, header = unpack(blob)
    except ValueError as error:
        raise Corrupt(f"what is kept is no checkpoint ({error}); remove it to train anew") from error
    if header.get("format") == _WITHOUT_DIGEST:
        log.warning("the checkpoint was written by a release that wrote no digests: it is not checked for damage")
    elif header.get("format") != _FORMAT:
        raise ValueError(f"the header has the format {header.get('format')!r}, expected {_FORMAT!r}")
    elif place is None:
        raise Corrupt("the checkpoint has lost its digest; remove it to train anew")
    differing = sorted(k for k in recipe | header["recipe"] if recipe.get(k) != header["recipe"].get(k))
    if differing:
        raise ValueError(
            f"the checkpoint was written with another recipe (differing: {differing}); continue with that one, "
            "or give this training a new name"
        )
    return Normalisation.model_validate(header["normalisation"])


def read(loop: Loop, blob: bytes, refill: Refill) -> None:
    """Set a new loop to the state in a checkpoint.

    On another device than the one it was written on, the state of that device's random numbers is not taken over.

    Raises
    ------
    ValueError
        If ``refill`` does not return every sample that the buffer held.
    """
    import torch

    tensors, header = unpack(blob)
    load_weights(loop.module, _under(tensors, _NETWORK))
    if loop.average is not None:
        load_weights(loop.average.module, _under(tensors, _AVERAGE))
    if loop.best is not None:
        loop.best.load(header["best"], _under(tensors, _BEST))
    moving = thaw(header["state"], tensors)
    loop.optimiser.load_state_dict(moving["optimiser"])
    loop.follower.load_state_dict(moving["rate"])
    loop.arithmetic.load_state_dict(moving["arithmetic"])
    torch.set_rng_state(torch.from_numpy(tensors["rng/cpu"].copy()))
    if loop.device != "cpu" and loop.device == header["device"]:
        _on(loop.device).set_rng_state(torch.from_numpy(tensors["rng/device"].copy()))
    mine, numbers = _under(tensors, f"rank{loop.group.rank}/"), header["ranks"][loop.group.rank]
    held, seen, kept = (mine[k] for k in ("buffer/ids", "buffer/seen", "validation/ids"))
    fields = _fetch(refill, np.concatenate([held, kept]))
    loop.slots.restore(held, seen, {name: values[: len(held)] for name, values in fields.items()})
    loop.set_validation(kept, {name: values[len(held) :] for name, values in fields.items()})
    loop.rng.bit_generator.state = numbers["numpy_rng"]
    loop.step, loop.taken = header["step"], numbers["taken"]
    loop.received = {int(shard): float(when) for shard, when in numbers["received"]}
    loop.partial = {int(shard): int(count) for shard, count in numbers["partial"]}
    loop.curve, loop.losses = header["curve"], header["losses"]
    loop.schedule = list(mine["schedule"])
    loop.trace.restore(tensors["trace/losses"], header["trace"])


def _place(blob: bytes) -> int | None:
    """Return where the digest of a checkpoint begins, None if it has none."""
    # A safetensors file opens with the length of its JSON part as a little-endian 64-bit integer.
    found = blob.find(_MARK, 8, 8 + int.from_bytes(blob[:8], "little"))
    return None if found < 0 else found + len(_MARK)


def _digest(blob: bytes, place: int) -> bytes:
    view = memoryview(blob)
    found = hashlib.sha256(view[:place])
    found.update(_BLANK)
    found.update(view[place + len(_BLANK) :])
    return found.hexdigest().encode()


def _on(device: str) -> Any:
    """Return the module of torch that keeps the random numbers of a device."""
    import torch

    return torch.cuda if device == "cuda" else torch.mps


def _under(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the tensors whose names begin with ``prefix``, without it."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _fetch(refill: Refill, ids: np.ndarray) -> Arrays:
    """Return the fields of ``ids`` in their order."""
    if len(ids) == 0:
        return {}
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
