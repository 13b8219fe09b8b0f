from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ritz.compute.fields.tensors import pack, unpack

if TYPE_CHECKING:
    from ritz.compute.solvers.learned.network import Cycle

_FORMAT = 1


def packed(network: Cycle, width: int) -> bytes:
    """Return the weights of a network as one safetensors blob; the same weights give the same bytes."""
    tensors = {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}
    return pack(tensors, {"format": _FORMAT, "kind": "direction", "width": width})


def unpacked(blob: bytes) -> Cycle:
    """Return the network whose weights `packed` wrote.

    Raises
    ------
    ValueError
        If they are not such weights, or not of this format.
    """
    import torch

    from ritz.compute.solvers.learned.network import Cycle

    tensors, header = unpack(blob)
    if header.get("kind") != "direction" or header.get("format") != _FORMAT:
        raise ValueError(
            f"the weights are of kind {header.get('kind')!r} and format {header.get('format')!r}, expected "
            f"'direction' and {_FORMAT}"
        )
    network = Cycle(int(header["width"]))
    network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    return network.eval().requires_grad_(False)


def digest(blob: bytes) -> str:
    """Return the SHA-256 of the weights, as 64 hexadecimal digits: by it a recipe names them."""
    return hashlib.sha256(blob).hexdigest()
