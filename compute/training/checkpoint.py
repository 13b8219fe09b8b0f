from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.training.parts.state import freeze, thaw

if TYPE_CHECKING:
    from ritz.compute.training.loop import Loop

_FORMAT = "ritz-training/6"
_OLDER = tuple(f"ritz-training/{number}" for number in range(1, 6))

# How the digest stands in the metadata of a safetensors file, a JSON text within a JSON text.
_MARK = b'\\"digest\\": \\"'
_BLANK = b"0" * 64

Recipe = Mapping[str, Any]  # a JSON document of the caller's, compared key by key and never looked into
"""What identifies a training."""


class Corrupt(ValueError):
    """The bytes of a checkpoint are not those that were written."""


class Outdated(ValueError):
    """A checkpoint was written by an earlier release, in another layout."""


def write(loop: Loop, normalisation: Normalisation, recipe: Recipe) -> bytes:
    """Return the states of all parts of a loop as one safetensors blob; its tensors lie on the CPU.

    In the blob is the SHA-256 of all its bytes, taken with zeros in its own place. All ranks of a group call this at
    once, and all get the state of all of them.

    Parameters
    ----------
    loop
        Between two steps.
    normalisation
        What it was made with.
    recipe
        What identifies the training; JSON-able. `read` refuses another.
    """
    tensors: dict[str, np.ndarray] = {}
    shared = {part.name: freeze(part.state(), part.name, tensors) for part in loop.parts if part.shared}
    mine: dict[str, np.ndarray] = {}
    own = {part.name: freeze(part.state(), part.name, mine) for part in loop.parts if not part.shared}
    ranks = []
    for rank, (arrays, states) in enumerate(map(unpack, loop.group.exchange(pack(mine, own)))):
        tensors |= {f"{_prefix(rank)}{name}": values for name, values in arrays.items()}
        ranks.append(states)
    header = {
        "format": _FORMAT,
        "digest": _BLANK.decode(),
        "recipe": dict(recipe),
        "normalisation": normalisation.model_dump(mode="json"),
        "step": loop.step,
        "shared": shared,
        "ranks": ranks,
    }
    blob = pack(tensors, header)
    place = _place(blob)
    assert place is not None
    return b"".join([blob[:place], _digest(blob, place), blob[place + len(_BLANK) :]])


def normalisation(blob: bytes, recipe: Recipe) -> Normalisation:
    """Return the normalisation in a checkpoint: what one needs to build the loop it belongs to.

    Raises
    ------
    Corrupt
        If a byte is not as it was written.
    Outdated
        If an earlier release wrote it.
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
    if header.get("format") in _OLDER:
        raise Outdated(
            f"the checkpoint was written by an earlier release (format {header['format']!r}, expected {_FORMAT!r}): "
            "finish the training with that release, or remove the checkpoint to train anew"
        )
    if header.get("format") != _FORMAT:
        raise ValueError(f"the header has the format {header.get('format')!r}, expected {_FORMAT!r}")
    if place is None:
        raise Corrupt("the checkpoint has lost its digest; remove it to train anew")
    differing = sorted(k for k in {**recipe, **header["recipe"]} if recipe.get(k) != header["recipe"].get(k))
    if differing:
        raise ValueError(
            f"the checkpoint was written with another recipe (differing: {differing}); continue with that one, "
            "or give this training a new name"
        )
    return Normalisation.model_validate(header["normalisation"])


def read(loop: Loop, blob: bytes) -> None:
    """Set a new loop to the state in a checkpoint.

    Raises
    ------
    ValueError
        If a sample that a part holds is gone from the dataset.
    """
    tensors, header = unpack(blob)
    prefix = _prefix(loop.group.rank)
    mine = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    states = {name: thaw(frozen, tensors) for name, frozen in header["shared"].items()}
    states |= {name: thaw(frozen, mine) for name, frozen in header["ranks"][loop.group.rank].items()}
    loop.load(header["step"], states)


def _prefix(rank: int) -> str:
    """Return what the names of the tensors of one rank begin with."""
    return f"rank{rank}/"


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
