from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import zarr
from zarr.buffer import default_buffer_prototype

from ritz.storage import conventions
from ritz.storage.chunks import FieldReader, ShardCodec
from ritz.storage.datasets import Dataset
from ritz.storage.documents import Json
from ritz.storage.errors import StorageError
from ritz.storage.ledger import STATUSES
from ritz.storage.names import dataset_key, split_spec
from ritz.storage.repository import engine
from ritz.storage.store import Store
from ritz.storage.targets import check_target, written_whole
from ritz.storage.versions import Version
from ritz.storage.wording import meant, shown

FORMATS = ("zarr", "netcdf", "hdf5")

SUFFIXES = {".zarr": "zarr", ".nc": "netcdf", ".nc4": "netcdf", ".h5": "hdf5", ".hdf5": "hdf5", "": "zarr"}
"""The format that is meant where none is named, by how the target's name ends."""

_COLUMN_BLOCK = 65536
"""Samples whose ledger is in memory at a time."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    version: Version
    path: Path
    format: str
    samples: int


def export(
    store: Store,
    spec: str,
    target: Path,
    form: str | None = None,
    only_ok: bool = False,
    report: Callable[[int, int], None] = lambda *_: None,
) -> Exported:
    """Write one version of a dataset where programs that know nothing of Icechunk can read it.

    All formats have the same variables, dimensions and attributes; the checksum of every chunk is tested on the way.
    Without ``only_ok`` every sample is at its position in the version, those that failed or were not yet solved as
    NaN, with the ledger beside them. It is written shard by shard, under another name until it is whole.

    Parameters
    ----------
    store, spec
        The version, ``"name@v3"``.
    target
        Where: a folder for Zarr, a file for the others. It must not exist, the folder around it must.
    form
        By default what the target's name says, see `SUFFIXES`.
        ``"zarr"``: a Zarr v3 store with the chunks, shards and codecs of the dataset, consolidated metadata added.
        ``"netcdf"``, ``"hdf5"``: a NetCDF-4 file, which is an HDF5 file with named dimensions, so both are the same
        container; a chunk per sample, deflate with byte shuffle, a Fletcher-32 checksum on every chunk. What JSON holds
        in an attribute and NetCDF cannot (lists of lists, null, true) is there as JSON text. Attributes are those of
        the dataset, but for what the CF and UGRID conventions ask of a file (`ritz.storage.conventions`).
    only_ok
        Leave out the samples that failed or were not solved; the others move together.
    report
        Called after each shard with the samples done and all that will be.

    Raises
    ------
    Unknown
        There is no such dataset or version.
    StorageError
        The format is unknown, the target exists or cannot be written, nothing is left to write, or a chunk is not what
        was written.
    """
    if form is None:
        form = SUFFIXES.get(target.suffix.lower())
        if form is None:
            raise StorageError(
                f"{target}: expected a name that ends in .zarr, .nc or .h5, or --format: one of {', '.join(FORMATS)}"
            )
    if form not in FORMATS:
        raise StorageError(f"format {shown(form)}: expected one of {', '.join(FORMATS)}{meant(form, FORMATS)}")
    check_target(target)
    name, version = split_spec("dataset", spec)
    dataset = Dataset.open(store, name)
    found = dataset.resolve(version)
    with engine(store, dataset_key(name)):
        source = _Source.of(dataset.at(found.snapshot).group(), found, only_ok)
        if not len(source):
            raise StorageError(f"dataset {found.spec!r}: no sample of it is ok, there is nothing to export")
        with written_whole(target) as aside:
            (_write_zarr if form == "zarr" else _write_netcdf)(source, aside, report)
    return Exported(found, target, form, len(source))


@dataclass(frozen=True)
class _Source:
    """The version and the samples of it that are exported."""

    arrays: dict[str, zarr.Array[Any]]
    attrs: Json
    version: Version
    positions: np.ndarray
    shard: int

    @classmethod
    def of(cls, group: zarr.Group, version: Version, only_ok: bool) -> _Source:
        arrays = dict(group.arrays())
        status = np.asarray(arrays["status"])
        positions = np.flatnonzero(status == STATUSES.index("ok")) if only_ok else np.arange(len(status))
        return cls(arrays, dict(group.attrs), version, positions, int(str(group.attrs["shard"])))

    def __len__(self) -> int:
        return len(self.positions)

    def dims(self, name: str) -> tuple[str, ...]:
        meta: Any = self.arrays[name].metadata
        return tuple(meta.dimension_names)

    def shape(self, name: str) -> tuple[int, ...]:
        whole = self.arrays[name].shape
        return (len(self), *whole[1:]) if self.dims(name)[:1] == ("sample",) else whole

    @property
    def fields(self) -> list[str]:
        return [name for name, array in self.arrays.items() if "role" in array.attrs]

    def columns(self) -> Iterator[tuple[str, int, np.ndarray]]:
        """Yield the arrays that are no fields in blocks: name, where it begins, values."""
        for name in sorted(set(self.arrays) - set(self.fields)):
            if self.dims(name)[:1] != ("sample",):
                yield name, 0, self._read(name, ...)
                continue
            for start in range(0, len(self), _COLUMN_BLOCK):
                chosen = self.positions[start : start + _COLUMN_BLOCK]
                around = self._read(name, slice(int(chosen[0]), int(chosen[-1]) + 1))
                yield name, start, around[chosen - chosen[0]]

    def _read(self, name: str, part: Any) -> np.ndarray:
        try:
            return np.asarray(self.arrays[name][part])
        except ValueError as error:
            raise StorageError(f"array {name!r}: {error}") from error

    def blocks(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Yield the first row and the values of the fields, one shard of samples at a time."""
        reader = FieldReader(self.arrays)
        values = reader.empty(self.shard)
        for start in range(0, len(self), self.shard):
            chosen = self.positions[start : start + self.shard]
            for shard in np.unique(chosen // self.shard).tolist():
                slots = np.flatnonzero(chosen // self.shard == shard)
                reader.read_shard(shard, chosen[slots] % self.shard, values, slots)
            yield start, {name: array[: len(chosen)] for name, array in values.items()}


def _write_zarr(source: _Source, path: Path, report: Callable[[int, int], None]) -> None:
    group = zarr.create_group(path, zarr_format=3, attributes=source.attrs)
    for name, array in source.arrays.items():
        meta: Any = array.metadata
        documents = meta.update_shape(source.shape(name)).to_buffer_dict(default_buffer_prototype())
        (path / name).mkdir()
        for file, document in documents.items():
            (path / name / file).write_bytes(document.to_bytes())
    for name, start, values in source.columns():
        target = group[name]
        assert isinstance(target, zarr.Array)
        if values.ndim == 0:
            target[...] = values
        else:
            target.with_config({"write_empty_chunks": True})[start : start + len(values)] = values
    codecs = {name: ShardCodec.of(source.arrays[name]) for name in source.fields}
    for start, block in source.blocks():
        for name, values in block.items():
            # Zarr keeps the last shard as long as the others, filled up.
            missing = [(0, source.shard - len(values))] + [(0, 0)] * (values.ndim - 1)
            whole = np.pad(values, missing, constant_values=np.nan)
            file = path / codecs[name].key(start // source.shard)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(codecs[name].encode(whole))
        report(min(start + source.shard, len(source)), len(source))
    with warnings.catch_warnings():
        # Zarr v3 does not define it, but allows it; it saves a reader over a network many requests.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path)


def _write_netcdf(source: _Source, path: Path, report: Callable[[int, int], None]) -> None:
    with h5netcdf.File(path, "w") as file:
        file.dimensions = dict(
            pair for name in source.arrays for pair in zip(source.dims(name), source.shape(name), strict=True)
        )
        for key, value in conventions.of_group(_described(source), source.arrays).items():
            file.attrs[key] = _attribute(value)
        for name, array in source.arrays.items():
            _create_variable(file, name, source, array)
        if conventions.TRIANGLES in source.arrays:
            topology = file.create_variable(conventions.MESH, (), np.int32, data=np.int32(0))
            topology.attrs.update(conventions.TOPOLOGY)
        for name, start, values in source.columns():
            file.variables[name][_rows(start, values)] = values
        for start, block in source.blocks():
            for name, values in block.items():
                file.variables[name][_rows(start, values)] = values
            report(min(start + source.shard, len(source)), len(source))


def _rows(start: int, values: np.ndarray) -> Any:
    return slice(start, start + len(values)) if values.ndim else ...


def _create_variable(file: h5netcdf.File, name: str, source: _Source, array: zarr.Array[Any]) -> None:
    shape = source.shape(name)
    layout: Json = {}
    if shape and "role" in array.attrs:
        layout = {"chunks": (1, *shape[1:])}
    elif source.dims(name) == ("sample",):
        layout = {"chunks": (min(len(source), _COLUMN_BLOCK),)}
    if layout:
        layout |= {"compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True}
    fill = array.fill_value if array.dtype.kind == "f" and "sample" in source.dims(name) else None
    variable = file.create_variable(name, source.dims(name), array.dtype, fillvalue=fill, **layout)
    for key, value in _attributes(name, source, array).items():
        # CF wants the values of flags in the type of the variable.
        variable.attrs[key] = np.array(value, array.dtype) if key == "flag_values" else _attribute(value)


def _described(source: _Source) -> Json:
    """Return the global attributes of a file, with what it is and where it is from."""
    about, version = source.attrs, source.version
    return {
        "title": f"Samples of {version.spec}",
        "source": f"ritz {about.get('ritz_version', 'of unknown version')}, snapshot {version.snapshot}",
        **about,
    }


def _attributes(name: str, source: _Source, array: zarr.Array[Any]) -> Json:
    attrs = dict(array.attrs)
    if "sample" not in source.dims(name):
        return conventions.of_coordinate(name, attrs)
    return attrs | conventions.of_field(source.dims(name), source.arrays)


def _attribute(value: Any) -> Any:
    """Return an attribute as NetCDF holds it."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, list) and value and len({type(one) for one in value}) == 1:
        if isinstance(value[0], str):
            return value
        if type(value[0]) in (int, float):
            return np.array(value)
    return json.dumps(value)
