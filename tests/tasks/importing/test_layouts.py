"""Every layout reads small files that are laid out so, and says where the points lie."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytest

from benchmarks.published.darcy_files import pdebench, the_well
from ritz.compute.kind import OneOf
from ritz.compute.problems.problem import Arrays
from ritz.storage.errors import StorageError
from ritz.tasks.importing.first import resolved_first
from ritz.tasks.importing.mapping import AnyLayout
from ritz.tasks.importing.reading import opened, rows, samples_in
from ritz.tasks.importing.resolving import Resolved
from ritz.tasks.requests.importing import ImportFiles
from tests.tasks.importing.mapped import made, written

KINDS = next(item for item in get_args(AnyLayout) if isinstance(item, OneOf)).kinds()


def _named(path: Path, a: np.ndarray, u: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        for name, cells in (("y", a.shape[1]), ("x", a.shape[2])):
            file[name] = (np.arange(cells) + 0.5) / cells
            file[name].make_scale(name)
        for name, values in (("a", a), ("u", u)):
            file[name] = values
            file[name].dims[0].label = "sample"
            for axis, dim in ((1, "y"), (2, "x")):
                file[name].dims[axis].attach_scale(file[dim])


WRITERS: dict[str, Any] = {"named": _named, "pdebench_darcy": pdebench, "the_well": the_well}


def _read(folder: Path, document: dict[str, Any]) -> tuple[Resolved, Arrays]:
    work = ImportFiles.read(written(folder, document)).planned(str(folder / "store"))
    found = resolved_first(work)
    with ExitStack() as stack:
        files = opened(stack, work.items[0])
        return found, rows(found.readings, files, 0, samples_in(found.readings, files))


def test_every_layout_is_here() -> None:
    assert set(WRITERS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_darcy_is_read_from_every_layout(kind: str, tmp_path: Path) -> None:
    fields = made(3)
    WRITERS[kind](tmp_path / "all.h5", fields["a"], fields["u"])
    variables: dict[str, Any] = {"a": {"role": "input"}, "u": {"role": "output"}}
    document = {"name": "own", "files": "all.h5", "layout": kind, "variables": variables}
    if kind == "named":
        # A scale gives the axes of space their names; that of the samples has none of its own.
        variables = {name: {**said, "dims": ["sample", "y", "x"]} for name, said in variables.items()}
        document["variables"] = variables
    found, values = _read(tmp_path, document)
    for name, wanted in fields.items():
        assert np.array_equal(values[name], wanted)
    points = {one.name: one.coordinates for one in found.along}
    assert points["y"] == pytest.approx((np.arange(6) + 0.5) / 6, abs=1e-7)
    assert points["x"] == pytest.approx((np.arange(7) + 0.5) / 7, abs=1e-7)


def test_pdebench_with_one_coordinate_has_it_on_both_axes(tmp_path: Path) -> None:
    a = np.ones((2, 6, 6), np.float32)
    pdebench(tmp_path / "all.h5", a, 2 * a)
    with h5py.File(tmp_path / "all.h5", "r+") as file:
        del file["y-coordinate"]
        file.attrs["beta"] = 0.5
    variables = {"a": {"role": "input"}, "u": {"role": "output", "divide_by": "beta"}}
    document = {"name": "own", "files": "all.h5", "layout": "pdebench_darcy", "variables": variables}
    found, values = _read(tmp_path, document)
    assert [(one.name, one.axis) for one in found.along] == [("y", "Y"), ("x", "X")]
    assert [one.first for one in found.along] == pytest.approx([1 / 12, 1 / 12])
    assert np.all(values["u"] == 4)


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arrays]:
    """A small file of The Well with a field in time, a vector, a field of all trajectories, and numbers."""
    folder, random = tmp_path_factory.mktemp("well"), np.random.default_rng(0)
    made = {
        "t0_fields/density": random.normal(size=(3, 5, 7, 6)),
        "t0_fields/mask": random.normal(size=(7, 6)),
        "t1_fields/velocity": random.normal(size=(3, 5, 7, 6, 2)),
        "scalars/viscosity": np.array([0.1, 0.2, 0.3]),
        "scalars/gamma": np.array([1.4]),
    }
    with h5py.File(folder / "all.h5", "w") as file:
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        for name, size in (("x", 7), ("y", 6), ("time", 5)):
            dimensions[name] = np.arange(size) / 10
        for name, values in made.items():
            file[name] = values.astype("f4")
            file[name].attrs["sample_varying"] = values.shape[0] == 3
            file[name].attrs["time_varying"] = values.ndim > 3
            if not name.startswith("scalars"):
                file[name].attrs["dim_varying"] = [True, True]
    return folder, {name: values.astype("f4") for name, values in made.items()}


def test_the_well_is_read_by_its_attributes(well: tuple[Path, Arrays]) -> None:
    folder, written_as = well
    variables = {
        "start": {"role": "input", "from": "t0_fields/density", "at": {"time": 0}},
        "mask": {"role": "input"},
        "viscosity": {"role": "parameter"},
        "gamma": {"role": "parameter"},
        "density": {"role": "output", "at": {"time": [1, 5]}},
        "velocity": {"role": "output", "at": {"time": [1, 5]}},
    }
    document = {"name": "own", "files": "all.h5", "layout": "the_well", "variables": variables}
    found, values = _read(folder, document)
    dims = {one.name: one.dims for one in found.variables}
    assert dims["density"] == ("time", "y", "x")
    assert dims["velocity"] == ("time", "component", "y", "x")
    assert dims["viscosity"] == dims["gamma"] == ()
    density = written_as["t0_fields/density"].transpose(0, 1, 3, 2)
    assert np.array_equal(values["start"], density[:, 0])
    assert np.array_equal(values["density"], density[:, 1:])
    assert np.array_equal(values["velocity"], written_as["t1_fields/velocity"].transpose(0, 1, 4, 3, 2)[:, 1:])
    assert np.array_equal(values["mask"], np.stack([written_as["t0_fields/mask"].T] * 3))
    assert values["viscosity"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert values["gamma"].tolist() == pytest.approx([1.4] * 3)
    times = next(one for one in found.along if one.name == "time")
    assert (times.axis, times.coordinates) == ("T", pytest.approx([0.1, 0.2, 0.3, 0.4]))


def test_a_field_that_the_well_does_not_have_is_named_with_those_it_has(well: tuple[Path, Arrays]) -> None:
    document = {
        "name": "own", "files": "all.h5", "layout": "the_well",
        "variables": {"pressure": {"role": "output"}, "mask": {"role": "input"}},
    }  # fmt: skip
    with pytest.raises(StorageError, match=r"0 fields 'pressure' in the groups .*; say variables.pressure.from"):
        _read(well[0], document)
