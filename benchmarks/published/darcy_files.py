"""Solves Darcy flow and writes it as PDEBench and The Well lay out their files; knows nothing of Ritz.

    python benchmarks/published/darcy_files.py FOLDER PERMEABILITIES.npy [--means harmonic|arithmetic] [--wrong ROW]

−∇·(a ∇u) = 1 on the unit square, u = 0 on its boundary, by finite volumes of equal cells, with SciPy's sparse LU. The
conductivity of a face is the harmonic mean of its two cells or the arithmetic one: both are consistent. With
``--wrong`` the sample of that row is the solution for its permeability upside down, as a bug in an order of axes would
have it.

Layouts: `pdebench.h5` has ``nu`` (n, x, y), ``tensor`` (n, 1, x, y), ``x-coordinate``, ``y-coordinate`` and the
attribute ``beta`` (https://github.com/pdebench/PDEBench); `the_well_0.h5` and `the_well_1.h5` have the groups of
https://polymathic-ai.org/the_well/data_format, half of the samples each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu


def solved(a: np.ndarray, harmonic: bool) -> np.ndarray:
    """Return u of one sample, ``(ny, nx)``: one row of the matrix after the other, face by face."""
    ny, nx = a.shape
    number = np.arange(ny * nx).reshape(ny, nx)
    diagonal = np.zeros((ny, nx))
    rows, columns, values = [], [], []
    for axis, cells in ((0, ny), (1, nx)):
        lower, upper = (np.take(a, range(first, first + cells - 1), axis) for first in (0, 1))
        face = (2 * lower * upper / (lower + upper) if harmonic else (lower + upper) / 2) * cells**2
        below, above = (np.take(number, range(first, first + cells - 1), axis) for first in (0, 1))
        for one, other in ((below, above), (above, below)):
            rows.append(one.ravel())
            columns.append(other.ravel())
            values.append(-face.ravel())
            np.add.at(diagonal.reshape(-1), one.ravel(), face.ravel())
        for wall in (0, -1):
            # Half a cell from the centre to the wall.
            np.moveaxis(diagonal, axis, 0)[wall] += 2 * cells**2 * np.moveaxis(a, axis, 0)[wall]
    entries = [np.concatenate([*parts, last]) for parts, last in ((values, diagonal.ravel()), (rows, number.ravel()))]
    place = np.concatenate([*columns, number.ravel()])
    matrix = sparse.csc_matrix((entries[0], (entries[1], place)), shape=(ny * nx, ny * nx))
    return splu(matrix).solve(np.ones(ny * nx)).reshape(ny, nx)


def pdebench(path: Path, a: np.ndarray, u: np.ndarray) -> None:
    """Write ``(n, ny, nx)`` fields; the axes of PDEBench are x and then y."""
    with h5py.File(path, "w") as file:
        file["nu"] = a.transpose(0, 2, 1).astype("f4")
        file["tensor"] = u.transpose(0, 2, 1)[:, None].astype("f4")
        for axis, cells in (("x", a.shape[2]), ("y", a.shape[1])):
            file[f"{axis}-coordinate"] = ((np.arange(cells) + 0.5) / cells).astype("f4")
        file.attrs["beta"] = 1.0


def the_well(path: Path, a: np.ndarray, u: np.ndarray) -> None:
    """Write ``(n, ny, nx)`` fields that do not vary in time."""
    n, ny, nx = a.shape
    varying = {"sample_varying": True, "time_varying": False}
    with h5py.File(path, "w") as file:
        about = {"dataset_name": "darcy", "grid_type": "cartesian", "n_spatial_dims": 2, "n_trajectories": n}
        file.attrs.update(about)
        file.attrs["simulation_parameters"] = ["beta"]
        file.attrs["beta"] = 1.0
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        for axis, cells in (("x", nx), ("y", ny)):
            dimensions[axis] = ((np.arange(cells) + 0.5) / cells).astype("f4")
            dimensions[axis].attrs.update({"sample_varying": False, "time_varying": False})
        dimensions["time"] = np.zeros(1, "f4")
        dimensions["time"].attrs["sample_varying"] = False
        for axis, cells in (("x", nx), ("y", ny)):
            wall = file.create_group(f"boundary_conditions/{axis}_wall")
            wall.attrs.update({"bc_type": "wall", "sample_varying": False, "time_varying": False})
            wall.attrs["associated_dims"], wall.attrs["associated_fields"] = [axis], ["u"]
            mask = np.zeros(cells, bool)
            mask[[0, -1]] = True
            wall["mask"], wall["values"] = mask, np.zeros(2, "f4")
        scalars = file.create_group("scalars")
        scalars.attrs["field_names"] = ["beta"]
        scalars["beta"] = np.float32(1)
        scalars["beta"].attrs.update({"sample_varying": False, "time_varying": False})
        fields = file.create_group("t0_fields")
        fields.attrs["field_names"] = ["a", "u"]
        for name, values in (("a", a), ("u", u)):
            fields[name] = values.transpose(0, 2, 1).astype("f4")
            fields[name].attrs.update(varying)
            fields[name].attrs["dim_varying"] = [True, True]
        for group in ("t1_fields", "t2_fields"):
            file.create_group(group).attrs["field_names"] = np.array([], "S1")


def main() -> None:
    reader = argparse.ArgumentParser()
    reader.add_argument("folder", type=Path)
    reader.add_argument("permeabilities", type=Path)
    reader.add_argument("--means", choices=("harmonic", "arithmetic"), default="harmonic")
    reader.add_argument("--wrong", type=int)
    given = reader.parse_args()
    a = np.load(given.permeabilities).astype("f4")
    u = np.stack([solved(one.astype("f8"), given.means == "harmonic") for one in a])
    if given.wrong is not None:
        u[given.wrong] = solved(a[given.wrong, ::-1].astype("f8"), given.means == "harmonic")
    given.folder.mkdir(parents=True, exist_ok=True)
    pdebench(given.folder / "pdebench.h5", a, u)
    half = len(a) // 2
    for part, rows in enumerate((slice(half), slice(half, None))):
        the_well(given.folder / f"the_well_{part}.h5", a[rows], u[rows])


if __name__ == "__main__":
    main()
