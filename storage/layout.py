from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from ritz.storage.documents import Json
from ritz.storage.errors import StorageError
from ritz.storage.ledger import COLUMNS, NUMBERS, SPLITS, flags
from ritz.storage.names import check_name

if TYPE_CHECKING:
    import xarray as xr

LAYOUT_VERSION = 1
"""Changes when a dataset written before could no longer be read as one written now."""

_RESERVED = ("Conventions", "layout_version", "identity", "recipe", "shard", "solvers", "history", "coordinates")

# Coordinates of the samples are written whole: few large chunks, of a length that growing does not change.
_COORDINATE_CHUNK = 65536

CODECS = (BloscCodec(cname="lz4", shuffle="shuffle"), Crc32cCodec())
"""Of every chunk; the checksum is outermost, so that it is tested before the decompressor sees the bytes."""

_DESCRIPTIONS = {
    "residual": {"long_name": "true relative residual in float64, before storing", "units": "1"},
    "iterations": {"long_name": "iterations of the solver", "units": "1"},
    "matvecs": {"long_name": "products with the operator", "units": "1"},
    "seconds": {"long_name": "time to solve", "units": "s"},
    "status": {"long_name": "what became of the sample", "standard_name": "status_flag"},
    "reason": {"long_name": "why the sample failed"},
    "solver": {"long_name": "solver that answered"},
    "sample_id": {"long_name": "number of the sample, by which it is drawn"},
    "split": {"long_name": "what the sample is for"},
}


@dataclass(frozen=True)
class Variable:
    """Layout of one array of a dataset; `chunks` are compressed, `shards` are written at once."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    fill: float | int
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """All of a dataset but its samples: what its first commit writes."""

    coordinates: xr.Dataset
    """Coordinates of space and time, with their values."""
    samples: Mapping[str, np.ndarray]
    """``sample_id`` (n,) int64 and ``split`` (n,) int8."""
    variables: Mapping[str, Variable]
    """Fields, ledger columns and the two coordinates of the samples."""
    attrs: Mapping[str, Any]

    def write(self, store: Any) -> None:
        """Create every array in an empty Zarr store, and write the coordinates."""
        # The "coordinates" attribute that xarray gives the group goes: every variable names its own, and the plan
        # has those that lie along no variable.
        self.coordinates.to_zarr(store, mode="w-", consolidated=False, zarr_format=3)
        group = zarr.open_group(store, mode="r+")
        group.attrs.put(dict(self.attrs))
        for name, variable in self.variables.items():
            array = group.create_array(
                name,
                shape=variable.shape,
                dtype=variable.dtype,
                chunks=variable.chunks,
                shards=variable.shards,
                compressors=CODECS,
                fill_value=variable.fill,
                dimension_names=variable.dims,
                attributes=dict(variable.attrs),
            )
            if name in self.samples:
                array[:] = self.samples[name]


def grow(store: Any, sample_id: np.ndarray, split: np.ndarray, recipe: Mapping[str, Any]) -> int:
    """Add samples that are still to be solved to the arrays of a dataset; what they hold stays as it is.

    Parameters
    ----------
    store
        Zarr store of a session that can be written to.
    sample_id, split
        (m,) integers and (m,) names of `ritz.storage.ledger.SPLITS` of the new samples, in the order of solving.
    recipe
        What makes the grown dataset, as JSON can hold it.

    Returns
    -------
    int
        Samples there are then.

    Raises
    ------
    StorageError
        m is no multiple of the shard, an id comes twice or is in the dataset already, or a split is unknown.
    """
    group = zarr.open_group(store, mode="r+")
    arrays = dict(group.arrays())
    ids, positions = _samples(len(sample_id), sample_id, split, int(str(group.attrs["shard"])))
    known = np.asarray(arrays["sample_id"][:])
    twice = ids[np.isin(ids, known)]
    if len(twice):
        raise StorageError(f"sample_id: {twice[0]} is in the dataset already; expected new ids")
    before, after = len(known), len(known) + len(ids)
    for name, array in arrays.items():
        if name in ("sample_id", "split", *COLUMNS) or "role" in array.attrs:
            array.resize((after, *array.shape[1:]))
    for name, values in (("sample_id", ids), ("split", positions)):
        arrays[name][before:after] = values
    group.attrs["recipe"] = _text(recipe, {})
    return after


def layout(
    template: xr.Dataset,
    *,
    identity: str,
    recipe: Mapping[str, Any],
    sample_id: np.ndarray,
    split: np.ndarray,
    shard: int,
    solvers: tuple[str, ...],
    attrs: Mapping[str, Any],
) -> Layout:
    """Derive the layout of a dataset from what its problem says of it.

    Parameters
    ----------
    template
        Variables with ``sample`` as first dimension, floating point, attribute ``role``; no data is read. Coordinates
        may lie along several dimensions, or along some that no variable has.
    identity
        Hash of what fixes the samples.
    recipe
        What made the dataset, as JSON can hold it.
    sample_id
        (n,) integers, unique, in the order of solving.
    split
        (n,) strings, each of `ritz.storage.ledger.SPLITS`.
    shard
        Samples written at once, by one writer; n is a multiple of it.
    solvers
        Names of the solvers a ledger may name.
    attrs
        Global attributes to add; ``rtol``, the largest relative residual of an ok sample, is required.

    Returns
    -------
    Layout
        One chunk per sample, one shard per write, NaN where nothing was written, flags as CF says.

    Raises
    ------
    StorageError
        One of these does not hold.
    """
    ids, splits = _samples(template.sizes.get("sample", 0), sample_id, split, shard)
    variables = {
        "sample_id": _coordinate("sample_id", ids),
        "split": _coordinate("split", splits, _flags("split", SPLITS)),
    }
    coordinates = template.coords.to_dataset().drop_dims("sample", errors="ignore").load()
    beside = {str(name): set(value.dims) for name, value in coordinates.coords.items() if name not in value.dims}
    for name, variable in template.data_vars.items():
        along = [coordinate for coordinate, dims in beside.items() if dims <= set(variable.dims)]
        variables[str(name)] = _field(str(name), variable, shard, along)
    if len(variables) == 2:
        raise StorageError("template: expected at least one variable")
    meanings = flags(tuple(check_name("solver", solver) for solver in solvers))
    for name in ("status", "reason", "solver", *NUMBERS):
        if name in variables or name in template.coords:
            raise StorageError(f"template: {name!r} is a ledger column; name the variable otherwise")
        dtype = np.dtype(NUMBERS.get(name, np.int8))
        variables[name] = Variable(
            dims=("sample",),
            shape=ids.shape,
            dtype=dtype.name,
            fill=np.nan if dtype.kind == "f" else 0,
            chunks=(shard,),
            shards=None,
            attrs={
                **(_flags(name, meanings[name]) if name in meanings else _DESCRIPTIONS[name]),
                "coordinates": "sample_id split",
            },
        )
    return Layout(
        coordinates=coordinates,
        samples={"sample_id": ids, "split": splits},
        variables=variables,
        attrs=_attributes(template, identity, recipe, shard, solvers, attrs) | _unnamed(beside, variables),
    )


def _unnamed(beside: Mapping[str, set[Any]], variables: Mapping[str, Variable]) -> dict[str, str]:
    """Return the group's attribute for coordinates that lie along no variable, such as the triangles of a mesh."""
    alone = [name for name, dims in beside.items() if not any(dims <= set(v.dims) for v in variables.values())]
    return {"coordinates": " ".join(alone)} if alone else {}


def _samples(n: int, sample_id: np.ndarray, split: np.ndarray, shard: int) -> tuple[np.ndarray, np.ndarray]:
    ids, names = np.asarray(sample_id), np.asarray(split)
    if shard < 1 or n < 1 or n % shard:
        raise StorageError(f"{n} samples in shards of {shard}: expected a positive multiple of the shard")
    if ids.shape != (n,) or ids.dtype.kind not in "iu" or len(np.unique(ids)) != n:
        raise StorageError(f"sample_id: expected {n} different integers, got {ids.dtype} of shape {ids.shape}")
    if names.shape != (n,) or not np.isin(names, SPLITS).all():
        raise StorageError(f"split: expected {n} names, each one of {list(SPLITS)}")
    positions = np.zeros(n, np.int8)
    for position, name in enumerate(SPLITS):
        positions[names == name] = position
    return ids.astype(np.int64), positions


def _coordinate(name: str, values: np.ndarray, attrs: Mapping[str, Any] | None = None) -> Variable:
    return Variable(
        dims=("sample",),
        shape=values.shape,
        dtype=values.dtype.name,
        fill=0,
        chunks=(_COORDINATE_CHUNK,),
        shards=None,
        attrs=_DESCRIPTIONS[name] if attrs is None else attrs,
    )


def _field(name: str, variable: xr.DataArray, shard: int, along: Sequence[str]) -> Variable:
    if variable.dims[:1] != ("sample",) or variable.dtype.kind != "f":
        raise StorageError(
            f"template variable {name!r}: expected floating point with 'sample' as first dimension, "
            f"got {variable.dtype} with {variable.dims}"
        )
    if variable.attrs.get("role") not in ("input", "output"):
        raise StorageError(f"template variable {name!r}: expected the attribute role, 'input' or 'output'")
    rest = variable.shape[1:]
    return Variable(
        dims=tuple(str(dim) for dim in variable.dims),
        shape=variable.shape,
        dtype=variable.dtype.name,
        fill=np.nan,
        chunks=(1, *rest),
        shards=(shard, *rest),
        attrs={
            **variable.attrs,
            "coordinates": " ".join(("sample_id", "split", *along)),
            "ancillary_variables": "status residual",
        },
    )


def _flags(name: str, meanings: tuple[str, ...]) -> Json:
    return {
        **_DESCRIPTIONS[name],
        "flag_values": list(range(len(meanings))),
        "flag_meanings": " ".join(meanings),
    }


def _attributes(
    template: xr.Dataset,
    identity: str,
    recipe: Mapping[str, Any],
    shard: int,
    solvers: tuple[str, ...],
    attrs: Mapping[str, Any],
) -> Json:
    if not identity:
        raise StorageError("identity: expected a hash, got an empty string")
    given = {**template.attrs, **attrs}
    taken = sorted(set(given) & set(_RESERVED))
    if taken:
        raise StorageError(f"attributes {taken} are written by the store; name them otherwise")
    rtol = given.get("rtol")
    if not isinstance(rtol, float) or not 0 < rtol < 1:
        raise StorageError(f"attribute rtol: expected a number between 0 and 1, got {rtol!r}")
    text = _text(recipe, given)
    return {
        "Conventions": "CF-1.11",
        **given,
        "layout_version": LAYOUT_VERSION,
        "identity": identity,
        "shard": shard,
        "solvers": " ".join(solvers),
        # A string, so that the attributes also fit into formats that know no nesting.
        "recipe": text,
    }


def _text(recipe: Mapping[str, Any], attrs: Mapping[str, Any]) -> str:
    """Return the recipe as JSON, if that can hold it and the attributes."""
    try:
        json.dumps(attrs, allow_nan=False)
        return json.dumps(recipe, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StorageError(f"recipe and attributes must be what JSON can hold: {error}") from error
