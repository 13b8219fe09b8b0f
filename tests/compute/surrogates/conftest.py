from __future__ import annotations

import numpy as np
import pytest
import xarray as xr


@pytest.fixture
def template() -> xr.Dataset:
    nothing = np.broadcast_to(np.float32(np.nan), (1, 16, 12))
    return xr.Dataset(
        {
            "a": (("sample", "y", "x"), nothing, {"role": "input", "transform": "log", "units": "m2"}),
            "f": (("sample", "y", "x"), nothing, {"role": "input", "transform": "identity"}),
            "u": (("sample", "y", "x"), nothing, {"role": "output", "transform": "identity"}),
            "k": (("sample", "y", "x"), nothing, {"role": "output", "transform": "log"}),
        },
        attrs={"symmetries": "flips"},
    )


@pytest.fixture
def fields() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    a, f = np.exp(2 + 3 * rng.standard_normal((6, 16, 12))), 5 + 0.1 * rng.standard_normal((6, 16, 12))
    return {name: values.astype(np.float32) for name, values in {"a": a, "f": f, "u": 7 * f - 30, "k": a**2}.items()}
