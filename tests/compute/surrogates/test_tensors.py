from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save

from ritz.compute.fields.tensors import pack, unpack

TENSORS = {
    "weight": (np.arange(6.0).reshape(2, 3) + 1j).astype(np.complex64),
    "step": np.array(3.0, np.float32),
    "ids": np.array([2**40, -1]),
    "seen": np.array([True, False]),
    "turned": np.arange(6.0).reshape(2, 3).T,
}
HEADER = {"format": "x", "state": {"big": 2**120, "list": [1, None, 0.1]}, "about": "µ"}


def test_what_is_packed_comes_back_to_the_bit() -> None:
    tensors, header = unpack(pack(TENSORS, HEADER))
    assert header == HEADER
    assert set(tensors) == set(TENSORS)
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert tensors[name].shape == value.shape
        np.testing.assert_array_equal(tensors[name], value)


def test_the_same_content_gives_the_same_bytes_in_any_order() -> None:
    assert pack(TENSORS, HEADER) == pack(dict(reversed(TENSORS.items())), dict(reversed(HEADER.items())))


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({}, {"loss": float("nan")})
    with pytest.raises(ValueError, match="3 bytes are not a safetensors file"):
        unpack(b"abc")
    with pytest.raises(ValueError, match="expected an entry 'header'"):
        unpack(save({"a": np.zeros(2)}))
    with pytest.raises(ValueError, match="far too many levels"):
        unpack(save({"a": np.zeros(2)}, metadata={"header": "[" * 100000}))
