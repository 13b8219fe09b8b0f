from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from compute.tensors import unpack
from storage import models
from storage.files import check_target, read_file, write_file
from storage.store import Store
from tasks.errors import InputError


def predict(store_url: str, model: str, source: Path, target: Path) -> dict[str, Any]:
    """Predict the outputs for the inputs in a file, with bands where the model was quantified.

    Parameters
    ----------
    source
        NetCDF file or Zarr store with the input variables, with or without the dimension ``sample``.
    target
        ``.nc`` or ``.zarr``; holds each output and, with a dimension ``level`` of nominal coverage, its
        ``_lower`` and ``_upper`` band.

    Raises
    ------
    InputError
        If a variable is missing, lies on another grid, holds NaN, or is not positive where its log is taken.
    storage.errors.StorageError
        If the model, the input file or the place of the output is not as it must be.
    """
    store = Store(store_url)
    reference = models.resolve(store, model)
    card = models.read_card(store, reference.spec)
    check_target(target)
    given, grid = read_file(source), _grid(store, reference.spec, card)
    inputs = {name: _input(given, name, entry, grid, card["sizes"], source) for name, entry in card["inputs"].items()}
    counts = {name: len(values) for name, values in inputs.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"{source}: the input variables have different numbers of samples: {counts}")

    from tasks.worker.evaluate import load_model

    trained, bands = load_model(store, reference.spec)
    outputs = trained.predict(inputs)
    along = {dim for entry in card["outputs"].values() for dim in entry["dims"]}
    result = xr.Dataset(
        # The triangles of a mesh lie along no variable, but among its nodes.
        coords={name: value for name, value in grid.coords.items() if name not in value.dims or name in along},
        attrs={"Conventions": "CF-1.11", "source": f"ritz model {reference.spec}"},
    )
    for name, values in outputs.items():
        dims = ("sample", *card["outputs"][name]["dims"])
        attributes = card["outputs"][name]["attrs"]
        result[name] = (dims, values, attributes)
        if bands is None:
            continue
        levels = list(bands.levels)
        widths = np.stack([bands.half_width(inputs, outputs, level)[name] for level in levels])
        for side, sign in (("lower", -1), ("upper", 1)):
            long_name = f"{side} end of the band of {attributes.get('long_name', name)}"
            result[f"{name}_{side}"] = (
                ("level", *dims),
                values + sign * widths,
                {**attributes, "long_name": long_name},
            )
        result = result.assign_coords(level=("level", levels, {"long_name": "nominal coverage", "units": "1"}))
    write_file(result, target)
    release = models.read_document(store, reference.spec, "release.json")
    return {
        "model": reference.spec,
        "released": bool(release and release["released"]),
        "samples": next(iter(counts.values())),
        "levels": list(bands.levels) if bands is not None else [],
        "output": str(target),
    }


def _grid(store: Store, spec: str, card: dict[str, Any]) -> xr.Dataset:
    """Return the coordinates of a model's fields."""
    coordinates: dict[str, Any] = {dim: (dim, values, card["coordinates"][dim]) for dim, values in card["grid"].items()}
    blob = models.read_file(store, spec, "mesh.safetensors")
    if blob is not None:
        arrays, about = unpack(blob)
        coordinates |= {name: (about[name]["dims"], values, about[name]["attrs"]) for name, values in arrays.items()}
    return xr.Dataset(coords=coordinates)


def _input(
    given: xr.Dataset, name: str, entry: dict[str, Any], grid: xr.Dataset, sizes: dict[str, int], source: Path
) -> np.ndarray:
    where = f"{source}, variable {name!r}"
    if name not in given:
        found = ", ".join(map(repr, given.data_vars)) or "none"
        raise InputError(f"{where}: missing; expected the inputs of the model, the file has {found}")
    variable, dims = given[name], tuple(entry["dims"])
    if "sample" not in variable.dims:
        variable = variable.expand_dims("sample")
    if set(variable.dims) != {"sample", *dims}:
        expected = ", ".join(map(repr, ("sample", *dims)))
        raise InputError(f"{where}: has dimensions {given[name].dims}; expected ({expected})")
    variable = variable.transpose("sample", *dims)
    for dim in dims:
        if variable.sizes[dim] != sizes[dim]:
            raise InputError(f"{where}: has {variable.sizes[dim]} points along {dim!r}; the model is for {sizes[dim]}")
    for coordinate, ours in grid.coords.items():
        if coordinate not in variable.coords or variable[coordinate].dims != ours.dims:
            continue
        theirs, points = variable[coordinate].values, ours.values
        if points.dtype.kind in "iuf" and not np.allclose(theirs, points, rtol=0, atol=1e-6 * np.ptp(points)):
            raise InputError(
                f"{where}: its points along {coordinate!r} run from {theirs[0]:g} to {theirs[-1]:g}; expected "
                f"{points[0]:g} to {points[-1]:g}, as in the dataset"
            )
    if variable.dtype.kind not in "iuf":
        raise InputError(f"{where}: has dtype {variable.dtype}; expected real numbers")
    values = variable.values.astype(entry["dtype"])
    if not np.isfinite(values).all():
        raise InputError(f"{where}: holds NaN or infinite values; expected finite ones")
    if entry["attrs"].get("transform") == "log" and not (values > 0).all():
        raise InputError(f"{where}: holds values ≤ 0; expected positive ones, since the model sees their logarithm")
    return values
