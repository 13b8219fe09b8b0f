from __future__ import annotations

import icechunk
import numpy as np
import pytest
import xarray as xr

from ritz.storage.committer import Committer
from ritz.storage.errors import StorageError
from ritz.storage.reading import read
from ritz.storage.store import Store

TRIANGLES = np.array([[0, 1, 2], [2, 3, 4]], np.int32)


def _template() -> xr.Dataset:
    def nothing(*shape: int) -> np.ndarray:
        return np.broadcast_to(np.float32(np.nan), (4, *shape))

    return xr.Dataset(
        {
            "q": (("sample",), nothing(), {"role": "input"}),
            "p": (("sample", "mode"), nothing(3), {"role": "input"}),
            "u": (("sample", "time", "node"), nothing(2, 5), {"role": "output"}),
        },
        coords={
            "x": ("node", np.arange(5.0), {"units": "m"}),
            "y": ("node", np.arange(5.0) ** 2, {"units": "m"}),
            "triangle": (("face", "corner"), TRIANGLES),
            "time": ("time", [0.1, 0.2], {"units": "s", "axis": "T"}),
        },
    )


@pytest.fixture
def dataset(tmp_path) -> Committer:
    return Committer.ensure(
        Store(tmp_path), "mesh", _template(), identity="one", recipe={}, shard=2, sample_id=np.arange(4),
        split=np.array(["train"] * 4), solvers=("direct",), attrs={"rtol": 1e-8},
    )  # fmt: skip


def test_coordinates_of_a_mesh_are_coordinates_again(dataset: Committer) -> None:
    expected = {name: coordinate.variable for name, coordinate in _template().coords.items()}
    session = icechunk.Repository.open(
        icechunk.local_filesystem_storage(dataset.store.location("datasets/mesh"))
    ).readonly_session("main")
    plain = xr.open_zarr(session.store, consolidated=False)
    for found in (dataset.template, read(dataset.store, "mesh@head"), plain):
        for name, variable in expected.items():
            assert name in found.coords
            xr.testing.assert_identical(found[name].variable.load(), variable)
    assert set(plain["u"].coords) == {"sample_id", "split", "time", "x", "y"}
    assert set(plain["p"].coords) == {"sample_id", "split"}


def test_the_attribute_that_names_them_is_the_stores(tmp_path) -> None:
    named = _template().assign_attrs(coordinates="x")
    with pytest.raises(StorageError, match=r"attributes \['coordinates'\] are written by the store"):
        Committer.ensure(
            Store(tmp_path), "mesh", named, identity="one", recipe={}, shard=2, sample_id=np.arange(4),
            split=np.array(["train"] * 4), solvers=("direct",), attrs={"rtol": 1e-8},
        )  # fmt: skip
