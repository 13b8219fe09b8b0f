"""Files of users: inputs and outputs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import xarray as xr

from ritz.storage import conventions
from ritz.storage.containers import UNREADABLE, Container, opened
from ritz.storage.errors import StorageError
from ritz.storage.targets import check_target, written_whole
from ritz.storage.wording import cut

SUFFIXES = (".nc", ".zarr")
"""Of files that are written: NetCDF-4 and Zarr."""


def read_file(path: Path, names: Collection[str] | None = None) -> xr.Dataset:
    """Read variables of a file into memory.

    Fill values become NaN, packed numbers what they stand for. Times stay the numbers that are stored, with their units
    beside them.

    Parameters
    ----------
    path
        NetCDF (classic, 64-bit offset or 4) or a Zarr group (2 or 3) in a folder, in a zip or as the branch ``main`` of
        an Icechunk repository; detected from the contents, not from the name.
    names
        The variables that are wanted: all by default. Those that the file does not have are left out. Coordinates come
        along, others are not looked at.

    Returns
    -------
    xarray.Dataset
        The group that has the variables: the root, or the only one with all ``names``. Its encoding says which
        ``group`` that is and what ``variables`` the file has in all groups.

    Raises
    ------
    StorageError
        There is nothing, something else, or several groups with these variables; or the file is damaged.
    """
    try:
        with opened(path) as container:
            there, group = container.groups, _group(path, container, names)
            with container.open(group) as raw:
                found = _decoded(raw, names).load()
    except StorageError:
        raise
    except UNREADABLE as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise StorageError(f"{path}: not readable, it is damaged or of an unknown format ({cut(reason)})") from error
    found.encoding["group"] = group
    found.encoding["variables"] = [f"{key}/{name}".lstrip("/") for key, of in there.items() for name in of]
    return found


def _group(path: Path, container: Container, names: Collection[str] | None) -> str:
    """Return the group to be read."""
    groups = container.groups
    if not groups:
        raise StorageError(f"{path}: {container.what} without a variable")
    if names is None:
        return "" if "" in groups else next(iter(groups))
    having = [group for group, there in groups.items() if set(names) <= set(there)]
    if "" in having or not having:
        return "" if "" in groups else next(iter(groups))
    if len(having) > 1:
        inside = cut(", ".join(map(repr, having)), 1000)
        raise StorageError(
            f"{path}: the groups {inside} all have {', '.join(names)}; write one of them to a file alone"
        )
    return having[0]


def _decoded(raw: xr.Dataset, names: Collection[str] | None) -> xr.Dataset:
    """Return variables with their coordinates, decoded one by one, so that none stands in the way of another."""
    wanted = [name for name in raw.data_vars if names is None or name in names]
    beside = _coordinates(raw, wanted, names)
    found = xr.decode_cf(raw[wanted], decode_times=False, decode_timedelta=False, decode_coords=False)
    if names is None:
        found = found.drop_vars(beside, errors="ignore")
    for name in beside:
        # Variables that are no fields pass unchanged, except text stored as characters.
        text = xr.decode_cf(raw[[name]], mask_and_scale=False, decode_times=False, decode_timedelta=False)[name]
        if names is None or set(text.dims) <= set(found.dims):
            found = found.assign_coords({name: text.variable})
    return found


def _coordinates(raw: xr.Dataset, wanted: Collection[object], names: Collection[str] | None) -> list[str]:
    """Return the coordinates, other than those of dimensions, that variables or the file name."""
    texts = [raw.attrs.get("coordinates", ""), *(raw[name].attrs.get("coordinates", "") for name in wanted)]
    named = [name for text in texts for name in str(text).split()]
    known = [name for name in dict.fromkeys(named) if name in raw.variables and name not in raw.dims]
    return [name for name in known if names is None or name not in names]


def write_file(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as NetCDF (``.nc``) or Zarr (``.zarr``), with the attributes of `ritz.storage.conventions`.

    Raises
    ------
    StorageError
        As `ritz.storage.targets.written_whole`; nothing is left of it then.
    """
    check_target(path, SUFFIXES)
    with written_whole(path) as aside:
        shaped = _conventional(dataset)
        if path.suffix == ".nc":
            shaped.to_netcdf(aside, engine="h5netcdf")
        else:
            shaped.to_zarr(aside, mode="w", consolidated=False, zarr_format=3)


def _conventional(dataset: xr.Dataset) -> xr.Dataset:
    shaped = dataset.copy()
    names = [str(name) for name in shaped.coords]
    for name in names:
        shaped[name].attrs = conventions.of_coordinate(name, shaped[name].attrs)
        shaped[name].encoding["_FillValue"] = None
    for variable in shaped.data_vars.values():
        variable.attrs |= conventions.of_field([str(dim) for dim in variable.dims], names)
    if conventions.TRIANGLES in names:
        shaped[conventions.MESH] = ((), np.int32(0), conventions.TOPOLOGY)
        shaped = shaped.set_coords(conventions.MESH)
    shaped.attrs = {
        key: value for key, value in conventions.of_group(shaped.attrs, names).items() if key != "coordinates"
    }
    return shaped
