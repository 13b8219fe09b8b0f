from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

_HEADER = "header"


def pack(tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> bytes:
    """Write arrays and a JSON header as one safetensors blob; the same content gives the same bytes.

    Parameters
    ----------
    tensors
        Arrays by name: real, complex64, integer or bool.
    header
        What JSON can hold; non-finite numbers are refused.
    """
    from safetensors.numpy import save

    arrays = {name: np.require(value, requirements="C") for name, value in tensors.items()}
    return save(arrays, metadata={_HEADER: json.dumps(header, sort_keys=True, allow_nan=False)})


def unpack(blob: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `pack` wrote; nothing is unpickled.

    Returns
    -------
    tensors, header

    Raises
    ------
    ValueError
        If the blob is no safetensors file or holds no header.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(blob)
    except SafetensorError as error:
        raise ValueError(f"{len(blob)} bytes are not a safetensors file ({error})") from error
    # A safetensors file opens with the length of its JSON part as a little-endian 64-bit integer.
    length = int.from_bytes(blob[:8], "little")
    metadata = json.loads(blob[8 : 8 + length]).get("__metadata__", {})
    if _HEADER not in metadata:
        raise ValueError(f"the safetensors metadata has {sorted(metadata)}, expected an entry {_HEADER!r}")
    try:
        return tensors, json.loads(metadata[_HEADER])
    except RecursionError:
        raise ValueError("the header of the safetensors file has far too many levels") from None
