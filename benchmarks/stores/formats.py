"""The formats that are compared: each is written by worker processes and read back, fields and ledger alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.storage import LocalStore

from benchmarks.stores.data import RTOL, SHARD, SOLVERS, definition, ledger
from ritz.storage.committer import Committer
from ritz.storage.datasets import Dataset
from ritz.storage.layout import Layout, layout
from ritz.storage.ledger import COLUMNS, encode
from ritz.storage.reading import read
from ritz.storage.shards import write_shard
from ritz.storage.store import Store

Write = Callable[[int, Mapping[str, np.ndarray]], Any]
"""Writes one shard; what it returns goes to the driver."""

Single = Callable[[int], Mapping[str, np.ndarray]]
"""Reads one sample."""


@dataclass(frozen=True)
class Format(ABC):
    """A way to store a dataset of ``samples`` in ``folder``."""

    name: str
    folder: Path
    samples: int
    template: xr.Dataset
    one_file: bool = False
    """Whether a worker needs a file of its own to write beside others."""
    file: int = 0
    """Which of these files."""

    @abstractmethod
    def create(self) -> None:
        """Do what comes before the first sample."""

    @abstractmethod
    @contextmanager
    def writer(self) -> Iterator[Write]:
        """Open it in a worker process."""

    @contextmanager
    def driver(self) -> Iterator[Callable[[int, Any], None]]:
        """Take what the workers' writes returned, shard by shard."""
        yield lambda *_: None

    @abstractmethod
    def whole(self) -> dict[str, np.ndarray]:
        """Read all fields."""

    @abstractmethod
    @contextmanager
    def single(self) -> Iterator[Single]:
        """Open it to read single samples."""

    @property
    def path(self) -> Path:
        return self.folder / self.name.replace(" ", "-").replace(",", "")

    def size(self) -> int:
        """Return its bytes on disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


class Ritz(Format):
    """A dataset of this project: written in forks, committed shard by shard by the driver."""

    def create(self) -> None:
        Committer.ensure(Store(self.path), "made", **definition(self.template))

    @contextmanager
    def writer(self) -> Iterator[Write]:
        fork = Committer.open(Store(self.path), "made").fork()
        rows = ledger()
        yield lambda shard, fields: write_shard(fork, shard, fields, rows)

    @contextmanager
    def driver(self) -> Iterator[Callable[[int, Any], None]]:
        dataset = Committer.open(Store(self.path), "made")
        rows = ledger()

        def commit(shard: int, written: Any) -> None:
            assert dataset.commit({shard: (written, rows)})

        with dataset.lock():
            yield commit

    def whole(self) -> dict[str, np.ndarray]:
        opened = read(Store(self.path), "made@head")
        return {name: opened[name].values for name in ("a", "u")}

    def shards(self) -> dict[str, np.ndarray]:
        """Read all fields as the trainer does, shard by shard."""
        dataset = Dataset.open(Store(self.path), "made")
        whole: dict[str, np.ndarray] = {}
        for shard in range(dataset.n_shards):
            found = dataset.read_shard(shard)
            assert found is not None
            for name, values in found.arrays.items():
                whole.setdefault(name, np.empty((self.samples, *values.shape[1:]), values.dtype))
                whole[name][shard * SHARD : (shard + 1) * SHARD] = values
        return whole

    @contextmanager
    def single(self) -> Iterator[Single]:
        from ritz.storage.selection import Selection

        chosen = Selection(Store(self.path), "made@head", splits=None)
        yield lambda i: chosen.read([i])


@dataclass(frozen=True)
class PlainZarr(Format):
    """Zarr v3 in a folder, of the same layout; a codec other than that of a dataset may be named."""

    cname: str | None = "lz4"
    clevel: int = 5

    @property
    def plan(self) -> Layout:
        return layout(**definition(self.template))

    def create(self) -> None:
        self.path.mkdir(parents=True)
        if (self.cname, self.clevel) == ("lz4", 5):
            self.plan.write(LocalStore(self.path))
            return
        packed = () if self.cname is None else (BloscCodec(cname=self.cname, clevel=self.clevel, shuffle="shuffle"),)
        plain = replace(self.plan, variables={})
        plain.write(LocalStore(self.path))
        group = zarr.open_group(self.path, mode="r+")
        for name, v in self.plan.variables.items():
            array = group.create_array(
                name, shape=v.shape, dtype=v.dtype, chunks=v.chunks, shards=v.shards, fill_value=v.fill,
                dimension_names=v.dims, attributes=dict(v.attrs), compressors=(*packed, Crc32cCodec()),
            )  # fmt: skip
            if name in self.plan.samples:
                array[:] = self.plan.samples[name]

    @contextmanager
    def writer(self) -> Iterator[Write]:
        arrays = {
            name: array.with_config({"write_empty_chunks": True})
            for name, array in zarr.open_group(self.path, mode="r+").arrays()
        }
        columns = encode(ledger(), SHARD, RTOL, SOLVERS)

        def write(shard: int, fields: Mapping[str, np.ndarray]) -> None:
            for name, values in {**columns, **fields}.items():
                arrays[name][shard * SHARD : (shard + 1) * SHARD] = values

        yield write

    def whole(self) -> dict[str, np.ndarray]:
        with xr.open_zarr(self.path, consolidated=False, chunks=None) as opened:
            return {name: opened[name].values for name in ("a", "u")}

    @contextmanager
    def single(self) -> Iterator[Single]:
        arrays: Any = dict(zarr.open_group(self.path, mode="r").arrays())
        yield lambda i: {name: arrays[name][i] for name in ("a", "u")}


@dataclass(frozen=True)
class HDF5(Format):
    """h5py, a chunk a sample."""

    one_file: bool = True
    packing: tuple[tuple[str, Any], ...] = (("compression", "lzf"),)

    def create(self) -> None:
        self.path.mkdir(parents=True)

    @contextmanager
    def writer(self) -> Iterator[Write]:
        columns = encode(ledger(), SHARD, RTOL, SOLVERS)
        with h5py.File(self.path / f"{self.file}.h5", "w") as file:
            for name, field in self.template.data_vars.items():
                shape = (self.samples, *field.shape[1:])
                file.create_dataset(
                    str(name), shape, field.dtype, chunks=(1, *shape[1:]), fillvalue=np.nan, **dict(self.packing)
                )
            for name in COLUMNS:
                file.create_dataset(name, (self.samples,), columns[name].dtype)

            def write(shard: int, fields: Mapping[str, np.ndarray]) -> None:
                for name, values in {**columns, **fields}.items():
                    file[name][shard * SHARD : (shard + 1) * SHARD] = values

            yield write

    def whole(self) -> dict[str, np.ndarray]:
        with h5py.File(self.path / "0.h5") as file:
            return {name: file[name][:] for name in ("a", "u")}

    @contextmanager
    def single(self) -> Iterator[Single]:
        with h5py.File(self.path / "0.h5") as file:
            fields = {name: file[name] for name in ("a", "u")}
            yield lambda i: {name: fields[name][i] for name in fields}


@dataclass(frozen=True)
class NetCDF(Format):
    """NetCDF-4 through h5netcdf, a chunk a sample, deflate 1 with byte shuffle; read by xarray."""

    one_file: bool = True

    def create(self) -> None:
        self.path.mkdir(parents=True)

    @contextmanager
    def writer(self) -> Iterator[Write]:
        columns = encode(ledger(), SHARD, RTOL, SOLVERS)
        with h5netcdf.File(self.path / f"{self.file}.nc", "w") as file:
            file.dimensions = dict(
                zip(self.template["a"].dims, (self.samples, *self.template["a"].shape[1:]), strict=True)
            )
            for name, field in self.template.data_vars.items():
                file.create_variable(
                    str(name), field.dims, field.dtype, chunks=(1, *field.shape[1:]), fillvalue=np.nan,
                    compression="gzip", compression_opts=1, shuffle=True,
                )  # fmt: skip
            for name in COLUMNS:
                file.create_variable(name, ("sample",), columns[name].dtype)

            def write(shard: int, fields: Mapping[str, np.ndarray]) -> None:
                for name, values in {**columns, **fields}.items():
                    file.variables[name][shard * SHARD : (shard + 1) * SHARD] = values

            yield write

    def whole(self) -> dict[str, np.ndarray]:
        with xr.open_dataset(self.path / "0.nc", engine="h5netcdf") as opened:
            return {name: opened[name].values for name in ("a", "u")}

    @contextmanager
    def single(self) -> Iterator[Single]:
        with xr.open_dataset(self.path / "0.nc", engine="h5netcdf", cache=False) as opened:
            yield lambda i: {name: opened[name][i].values for name in ("a", "u")}
