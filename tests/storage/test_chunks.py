from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from ritz.storage.chunks import ChunkCodec, FieldReader, ShardCodec, write
from ritz.storage.errors import StorageError

SHAPES = {"number": (), "line": (5,), "map": (3, 4), "cube": (2, 3, 4)}


@pytest.fixture(params=["float32", "float64"])
def arrays(request, tmp_path):
    """Fields of 3 shards of 4 samples, of which Zarr's own pipeline has written the second."""
    group = zarr.create_group(tmp_path)
    made = {
        name: group.create_array(
            name,
            shape=(12, *shape),
            dtype=request.param,
            chunks=(1, *shape),
            shards=(4, *shape),
            compressors=(BloscCodec(cname="lz4", shuffle="shuffle"), Crc32cCodec()),
            fill_value=np.nan,
            attributes={"role": "output"},
        )
        for name, shape in SHAPES.items()
    }
    for name, array in made.items():
        array[4:8] = values(name, request.param, 1)
    return made


def values(name: str, dtype: str, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, *SHAPES[name])).astype(dtype)


def test_zarr_reads_what_is_written_here(arrays):
    for name, array in arrays.items():
        codec = ShardCodec.of(array)
        write(array.store, {codec.key(2): codec.encode(values(name, array.dtype.name, 2))})
        np.testing.assert_array_equal(array[8:], values(name, array.dtype.name, 2))
        np.testing.assert_array_equal(array[4:8], values(name, array.dtype.name, 1))


@pytest.mark.parametrize("dtype", ["int8", "int32", "float64"])
def test_zarr_writes_the_bytes_of_a_column_that_are_written_here(dtype, tmp_path):
    column = np.arange(5).astype(dtype)
    array = zarr.create_group(tmp_path).create_array(
        "status",
        shape=(10,),
        dtype=dtype,
        chunks=(5,),
        compressors=(BloscCodec(cname="lz4", shuffle="shuffle"), Crc32cCodec()),
        fill_value=0,
    )
    array[5:] = column
    metadata: Any = array.metadata
    codec = ChunkCodec.of("ledger column 'status'", array.dtype, metadata.codecs)
    assert (tmp_path / "status" / "c" / "1").read_bytes() == codec.encode(column)
    write(array.store, {"status/c/0": codec.encode(column)})
    np.testing.assert_array_equal(array[:], [*column, *column])


def test_what_zarr_wrote_is_read_here_and_the_rest_is_absent(arrays):
    reader = FieldReader(arrays)
    out = reader.empty(6)
    reader.read_shard(1, np.array([3, 0]), out, np.array([5, 2]))
    reader.read_shard(0, np.array([1]), out, np.array([0]))
    single = reader.read_samples(np.array([7, 1, 4, 7]))
    for name, array in arrays.items():
        written = values(name, array.dtype.name, 1)
        np.testing.assert_array_equal(out[name][[5, 2]], written[[3, 0]])
        assert np.isnan(out[name][0]).all()
        np.testing.assert_array_equal(single[name][[0, 2, 3]], written[[3, 0, 3]])
        assert np.isnan(single[name][1]).all()


def test_the_index_is_checked_too(arrays, tmp_path):
    file = tmp_path / ShardCodec.of(arrays["map"]).key(1)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    for read in (
        lambda reader: reader.read_shard(1, np.arange(4), reader.empty(4), np.arange(4)),
        lambda reader: reader.read_samples(np.array([5])),
    ):
        with pytest.raises(StorageError, match=r"field 'map', shard 1: .* checksum"):
            read(FieldReader(arrays, ["map"]))


def test_other_codecs_are_refused_by_name(tmp_path):
    other = zarr.create_group(tmp_path).create_array(
        "u", shape=(4, 3), dtype="float32", chunks=(1, 3), shards=(2, 3), compressors=(BloscCodec(),), fill_value=0
    )
    with pytest.raises(StorageError, match="field 'u': its codecs are not those of this layout"):
        ShardCodec.of(other)
