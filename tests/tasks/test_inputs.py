"""What is said of inputs whose names a stranger has chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ritz.tasks.documents.card import Variable
from ritz.tasks.errors import InputError
from ritz.tasks.prediction.inputs import Interface, read_inputs

LONG = "x" * 10000
TAKES = Interface(
    {"a": Variable(dims=("x",), dtype="float32", attrs={"units": "m"})}, {"x": 4}, (), xr.Dataset(), False
)


@pytest.mark.parametrize(
    ("variables", "sample_dim", "said"),
    [
        ({f"{number}{LONG}": ("x", np.zeros(4)) for number in range(9)}, None, "missing; expected the inputs"),
        ({"a": (("sample", "x", LONG), np.zeros((2, 4, 3)))}, None, "has dimensions"),
        ({"a": ((LONG, "x"), np.zeros((2, 4)))}, None, "say --sample-dim x"),
        ({"a": (("sample", "x"), np.zeros((2, 4)))}, LONG, "no input has the dimension"),
        ({"a": ((LONG, "x"), np.zeros((2, 4)))}, "run", "there are: x"),
    ],
)
def test_long_names_in_a_file_are_cut(
    variables: dict[str, tuple[object, np.ndarray]], sample_dim: str | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "inputs.nc"
    xr.Dataset(variables).to_netcdf(path, engine="scipy")
    with pytest.raises(InputError, match=said) as caught:
        read_inputs(path, TAKES, sample_dim)
    assert len(str(caught.value)) < 2000


def test_long_units_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "inputs.nc"
    xr.Dataset({"a": (("sample", "x"), np.zeros((2, 4)), {"units": LONG})}).to_netcdf(path, engine="scipy")
    [remark] = read_inputs(path, TAKES).remarks
    assert len(remark) < 600
